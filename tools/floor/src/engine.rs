//! The two ways of sending: a system call for each subscriber, or one for all of them.

use crate::crowd::Crowd;
use crate::tally::Tally;
use crate::uring::{Ring, RingError};

/// How to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// send(2) for each.
    Send,
    /// One `io_uring_enter(2)` for all.
    Uring,
}

/// What goes out, to whom.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Whole frames.
    pub bytes: &'a [u8],
    /// Records in them.
    pub records: u64,
    /// The first place that gets them.
    pub first: usize,
    /// So many places in a row get them, round the end.
    pub count: usize,
}

impl Turn<'_> {
    /// The places that get it, of so many.
    pub fn places(self, all: usize) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |n| (self.first + n) % all)
    }
}

/// A way of sending, prepared for a crowd that is there.
pub enum Engine {
    /// Nothing to prepare.
    Send,
    /// A ring that knows the sockets.
    Uring(Box<Ring>),
}

impl Engine {
    /// Prepares for this crowd.
    ///
    /// # Errors
    /// Where the system has no such ring.
    pub fn prepare(kind: Kind, crowd: &mut Crowd) -> Result<Self, RingError> {
        Ok(match kind {
            Kind::Send => Self::Send,
            Kind::Uring => Self::Uring(Box::new(Ring::prepare(crowd.places())?)),
        })
    }

    /// Sends, once to each place that is taken.
    ///
    /// # Errors
    /// Where the ring fails; a subscriber that fails is removed.
    pub fn send(
        &mut self,
        crowd: &mut Crowd,
        turn: Turn<'_>,
        tally: &mut Tally,
    ) -> Result<(), RingError> {
        tally.turns += 1;
        match self {
            Self::Send => send_each(crowd, turn, tally),
            Self::Uring(ring) => ring.send(crowd, turn, tally)?,
        }
        Ok(())
    }
}

fn send_each(crowd: &mut Crowd, turn: Turn<'_>, tally: &mut Tally) {
    for place in turn.places(crowd.places().len()) {
        let Some(connection) = &mut crowd.places()[place] else { continue };
        let sent = connection.ready(turn.records, tally).and_then(|ready| {
            if !ready {
                return Ok(());
            }
            tally.sends += 1;
            connection.send(turn.bytes, turn.records, tally)
        });
        if let Err(why) = sent {
            tally.left += 1;
            crowd.remove(place, &why);
        }
    }
}
