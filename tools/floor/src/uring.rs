//! One `io_uring_enter` a turn for all sends, on sockets that the ring knows by their places. The
//! one file with `unsafe` code.
#![allow(unsafe_code, reason = "the kernel reads the turn's bytes behind the compiler's back")]

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::types::Fixed;
use io_uring::{IoUring, opcode};

use crate::connection::Connection;
use crate::crowd::Crowd;
use crate::engine::Turn;
use crate::tally::Tally;

/// `MSG_DONTWAIT`: a full socket is an error at once, and nothing stays with the kernel.
const DONT_WAIT: i32 = 0x40;
/// `MSG_NOSIGNAL`: a connection that is gone is an error, and no signal.
const NO_SIGNAL: i32 = 0x4000;
/// Negated results that are no reason to end a connection.
const EAGAIN: i32 = -11;
/// Sends of one call at most.
const ENTRIES_MAX: usize = 4096;
/// A place without a connection.
const NOBODY: RawFd = -1;

/// Why there is no ring, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// Not on this system.
    #[error("no io_uring ({0}); it takes Linux 6.1 and leave to use it: try --engine send")]
    Refused(io::Error),
    /// It took more sockets than it can hold.
    #[error("io_uring does not take {0} sockets: {1}")]
    Sockets(usize, io::Error),
    /// A call failed.
    #[error("io_uring failed: {0}")]
    Failed(io::Error),
}

/// A ring that knows a crowd's sockets.
pub struct Ring {
    ring: IoUring,
    entries: usize,
}

/// Does this system have such rings?
///
/// # Errors
/// [`RingError::Refused`].
pub fn probe() -> Result<(), RingError> {
    ring(1).map(drop)
}

fn ring(entries: usize) -> Result<IoUring, RingError> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun();
    builder.build(entries as u32).map_err(RingError::Refused)
}

impl Ring {
    /// A ring for the sockets in these places.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn prepare(places: &[Option<Connection>]) -> Result<Self, RingError> {
        let entries = places.len().next_power_of_two().min(ENTRIES_MAX);
        let ring = ring(entries)?;
        let fd = |place: &Option<Connection>| place.as_ref().map(|c| c.socket.as_raw_fd());
        let fds: Vec<RawFd> = places.iter().map(|place| fd(place).unwrap_or(NOBODY)).collect();
        let registered = ring.submitter().register_files(&fds);
        registered.map_err(|error| RingError::Sockets(fds.len(), error))?;
        Ok(Self { ring, entries })
    }

    /// Sends to each place of the turn, in as few calls as the ring has room for.
    ///
    /// # Errors
    /// [`RingError::Failed`].
    pub fn send(
        &mut self,
        crowd: &mut Crowd,
        turn: Turn<'_>,
        tally: &mut Tally,
    ) -> Result<(), RingError> {
        let mut queued = 0;
        for place in turn.places(crowd.places().len()) {
            let Some(connection) = &mut crowd.places()[place] else { continue };
            match connection.ready(turn.records, tally) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    tally.left += 1;
                    crowd.remove(place, &why);
                    continue;
                }
            }
            self.queue(place, turn.bytes)?;
            queued += 1;
            if queued == self.entries {
                self.complete(queued, crowd, turn, tally)?;
                queued = 0;
            }
        }
        self.complete(queued, crowd, turn, tally)
    }

    fn queue(&mut self, place: usize, bytes: &[u8]) -> Result<(), RingError> {
        let fd = Fixed(place as u32);
        let send = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32)
            .flags(DONT_WAIT | NO_SIGNAL)
            .build()
            .user_data(place as u64);
        // SAFETY: the kernel reads `bytes` while it works on this entry. `send` borrows them until
        // `complete` has seen the completion of each entry it queued. Where that fails the run
        // ends: the ring is not entered again, so what was not submitted is never looked at, and
        // what was submitted does not stay with the kernel, because of `DONT_WAIT`.
        let pushed = unsafe { self.ring.submission().push(&send) };
        pushed.map_err(|_| RingError::Failed(io::ErrorKind::StorageFull.into()))
    }

    /// Has what was queued sent, and books each result.
    fn complete(
        &mut self,
        queued: usize,
        crowd: &mut Crowd,
        turn: Turn<'_>,
        tally: &mut Tally,
    ) -> Result<(), RingError> {
        tally.sends += queued as u64;
        let mut left = queued;
        while left > 0 {
            match self.ring.submit_and_wait(left) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(RingError::Failed(error));
                }
                _ => {}
            }
            for done in self.ring.completion() {
                left -= 1;
                book(done.user_data() as usize, done.result(), crowd, turn, tally);
            }
        }
        Ok(())
    }
}

/// Books the result of one send.
fn book(place: usize, result: i32, crowd: &mut Crowd, turn: Turn<'_>, tally: &mut Tally) {
    let Some(connection) = &mut crowd.places()[place] else { return };
    match result {
        EAGAIN => connection.dropped(turn.records, tally),
        taken @ 0.. => connection.took(taken as usize, turn.bytes, turn.records, tally),
        failed => {
            tally.left += 1;
            crowd.remove(place, &io::Error::from_raw_os_error(-failed).to_string());
        }
    }
}
