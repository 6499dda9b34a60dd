//! A panic of a shard ends its connections, not the process.
//!
//! It is caught at the edge of the thread. What the shard kept may be half changed by then, and is
//! dropped: nobody else sees it, and no lock is held in a turn. The shard begins anew on the same
//! mailbox and the same ring, with the last values that the ring still has. Its connections have
//! their frame begun finished, are told `closing` and 1011, and leave as any that is sent away;
//! only those whose socket was being written to when it happened are cut off, since nobody knows
//! how much of a frame they got.
//!
//! A shard that panics again and again has no future: then its thread ends, and the server with it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use mio::{Interest, Token};

use crate::clock::{Now, UnixNanos};
use crate::latency::Latency;
use crate::limits::{SHARD_RESTARTS, SHARD_RESTARTS_WITHIN};
use crate::shard::connection::{Connection, Phase};
use crate::shard::departure::{self, Ending};
use crate::shard::house::Draining;
use crate::shard::report::{Tally, total};
use crate::shard::{Parts, Shard};
use crate::socket::write::Engine;
use crate::wire::close::CloseReason;

/// A shard that panicked too often.
#[derive(Debug, thiserror::Error)]
#[error(
    "shard {shard} panicked more than {SHARD_RESTARTS} times within {SHARD_RESTARTS_WITHIN:?}, \
     which no restart helps; the last time: {words}"
)]
pub struct Hopeless {
    /// Which.
    pub shard: usize,
    /// What the panic said.
    pub words: String,
}

/// What is left of a shard that has panicked.
pub(super) struct Remains {
    parts: Parts,
    pub(super) orphans: Vec<Orphan>,
    draining: Option<Draining>,
    tally: Tally,
    latency: Latency,
}

/// A connection whose shard has panicked, and the last position that it was surely sent.
pub(super) struct Orphan {
    connection: Connection,
    at: u64,
}

/// Runs a shard until it is told to stop, anew after each panic.
///
/// # Errors
/// [`Hopeless`]: it panics again and again.
pub fn run<E: Engine>(parts: Parts, mut engine: impl FnMut() -> E) -> Result<(), Hopeless> {
    let mut panics = VecDeque::new();
    let mut shard = Shard::new(parts, engine(), Now::read());
    let (mut orphans, mut recalls) = (Vec::new(), false);
    loop {
        let begun = shard.progress.of(shard.id).turns();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            shard.take_in(std::mem::take(&mut orphans));
            if recalls {
                shard.recall();
            }
            shard.run();
        }));
        let Err(panic) = ended else { return Ok(()) };
        let (id, words) = (shard.id, words_of(&*panic));
        tracing::error!(shard = id, panic = %words, "a shard has panicked: its connections end");
        // One that did not come to a turn has panicked at what it recalled.
        recalls = shard.progress.of(id).turns() > begun;
        let mut remains = shard.fall();
        if is_hopeless(&mut panics, Instant::now()) {
            remains.give_up(Now::read().unix);
            return Err(Hopeless { shard: id, words });
        }
        orphans = std::mem::take(&mut remains.orphans);
        shard = Shard::again(remains, engine());
    }
}

impl Remains {
    /// Nobody comes after it: its connections are cut off, those on their way to it too.
    fn give_up(&mut self, now: UnixNanos) {
        let Parts { departures, mailbox, .. } = &self.parts;
        for Orphan { connection, .. } in self.orphans.drain(..) {
            departure::note_fallen(departures, &connection, connection.settled(), now);
            mailbox.depart();
        }
        departure::note_waiting(departures, mailbox, CloseReason::Internal, now);
    }
}

/// What a panic said.
pub fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// Notes a panic. Is it one too many?
fn is_hopeless(panics: &mut VecDeque<Instant>, now: Instant) -> bool {
    panics.retain(|then| now.saturating_duration_since(*then) < SHARD_RESTARTS_WITHIN);
    panics.push_back(now);
    panics.len() > SHARD_RESTARTS
}

impl<E: Engine> Shard<E> {
    /// Takes it apart after a panic; its state is dropped.
    pub(super) fn fall(self) -> Remains {
        self.progress.of(self.id).step_aside();
        self.progress.of(self.id).vacate();
        let mut tally = self.tally;
        let connections = self.connections.iter();
        // What its connections have counted; not where just that is what is broken.
        let counted = catch_unwind(AssertUnwindSafe(|| {
            connections.fold(tally.ended, |sum, (_, c)| sum.plus(total(c, &self.audiences)))
        }));
        tally.ended = counted.unwrap_or(tally.ended);
        let mut orphans = Vec::new();
        for (token, mut connection) in self.connections {
            let in_call = self.in_call.iter().any(|target| target.token == token as u32);
            if connection.is_closing() || in_call {
                let counts = !connection.is_closing();
                tally.closes[CloseReason::Internal as usize] += u64::from(counts);
                let (departures, now) = (&self.departures, self.now.unix);
                let records = departure::records_of_fallen(&connection, &self.audiences);
                departure::note_fallen(departures, &connection, records, now);
                self.mailbox.depart();
                continue;
            }
            let at = match connection.phase {
                Phase::Live => connection.backlog.cursor(self.fanout.after()),
                _ => connection.backlog.cursor_before_loss(),
            };
            connection.settle(departure::records_of_fallen(&connection, &self.audiences));
            orphans.push(Orphan { connection, at });
        }
        let parts = Parts {
            id: self.id,
            reader: self.ring.reader(),
            ring: self.ring,
            directory: self.catalog.directory(),
            mailbox: self.mailbox,
            poll: self.poll,
            progress: self.progress,
            elastic: self.elastic,
            epoch: self.epoch,
            tape: self.tape,
            shelf: self.shelf,
            door: self.door,
            departures: self.departures,
            limits: self.limits,
            flush_interval: self.flush_interval,
            busy: self.busy,
        };
        Remains { parts, orphans, draining: self.draining, tally, latency: self.latency }
    }

    /// A new shard in the place of one that has panicked. It knows nothing of what was published.
    pub(super) fn again(remains: Remains, engine: E) -> Self {
        let Remains { parts, draining, tally, latency, .. } = remains;
        parts.mailbox.restarted();
        let mut shard = Self::new(parts, engine, Now::read());
        (shard.draining, shard.tally, shard.latency) = (draining, tally, latency);
        shard.books.invalidate();
        shard
    }

    /// Sends the connections of the shard before it away.
    pub(super) fn take_in(&mut self, orphans: Vec<Orphan>) {
        for Orphan { mut connection, at } in orphans {
            let slot = self.connections.vacant_entry();
            let token = slot.key();
            let both = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            self.tally.closed(CloseReason::Internal);
            if registry.reregister(&mut connection.stream, Token(token), both).is_err() {
                let (records, now) = (connection.settled(), self.now.unix);
                departure::note_fallen(&self.departures, &connection, records, now);
                self.mailbox.depart();
                continue;
            }
            connection.forget();
            self.encrypted += usize::from(connection.tls.is_some());
            slot.insert(connection);
            self.dismiss(token as u32, at);
        }
        self.flush_hot();
    }

    fn dismiss(&mut self, token: u32, at: u64) {
        let words = "a fault of the server: it dropped what it kept for this connection";
        let reason = CloseReason::Internal;
        if let Some(code) = reason.code() {
            let frames = self.farewell_frames(token, (reason, code), words, at);
            self.say_goodbye(token, frames, Ending { reason, code: Some(code) }, self.now);
        }
    }

    /// Learns what the ring still has: the last values, and the books where it has all of them.
    pub(super) fn recall(&mut self) {
        let whole = self.ring.committed() <= self.ring.capacity();
        let (oldest, newest) = (self.ring.oldest(), self.ring.newest());
        if let Ok(reader) = self.ring.reader_after(oldest - 1) {
            self.reader = reader;
        }
        if whole {
            self.books = super::books::Books::default();
        }
        while self.reader.seq() < newest && self.reader.has_news() {
            if self.reader.read(&mut self.segment).lost.is_some() {
                self.cache.invalidate();
                self.books.invalidate();
            }
            self.match_segment();
        }
    }
}

impl Connection {
    /// Forgets everything but its socket, what is begun on it, and who it is.
    fn forget(&mut self) {
        self.phase = Phase::Live;
        self.audience = None;
        self.subscriptions = Vec::new();
        self.deferred.clear();
        (self.located, self.replay, self.opening) = (None, None, None);
        (self.hot, self.readable, self.paused) = (false, false, false);
        self.stuck = None;
    }
}
