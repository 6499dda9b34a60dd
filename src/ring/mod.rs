//! ring: one writer, many readers, no locks; nobody waits for anybody.
//!
//! The [`Writer`] publishes batches of records into a circle of 8-byte words, one record behind the
//! other and across the end of the array too, and overwrites the oldest without asking. A
//! [`Reader`] copies what is new into its [`Segment`], whole records only; where the writer has
//! lapped it, it goes on at the oldest block left and knows exactly which numbers it lost
//! ([`Lost`]).
//!
//! Positions count bytes since the start. Where a record starts is found from the one before it,
//! which says how long it is; a reader always stands at a start. Who looks for a place begins at
//! one of the starts that the writer notes, the first of each block ([`starts`]).
//!
//! Invariants
//! 1. `commit <= claim <= commit + capacity / RING_BATCH_SHARE`, and neither ever decreases. Only
//!    words before `claim` have been written, ever, and only starts before it have been noted.
//! 2. `commit` is a boundary between records: what lies before it is whole records, numbered
//!    without holes from 1 or from where the sequence goes on, and of each block in which one
//!    starts the first start is noted, position and number.
//! 3. A record takes `RECORD_MIN..=RECORD_MAX` bytes, whole words, as its header says.
//! 4. `ts_out` never decreases from one record to the next.
//!
//! Memory order. The writer stores `claim`, for some commits at once, fences (release), stores
//! words and starts relaxed, and stores `commit` (release). A reader loads `commit` (acquire), so
//! that it sees no word older than what was committed; it copies relaxed, fences (acquire) and
//! loads `claim` relaxed. Where its copy of position `p` holds a word of a later lap, the writer's
//! fence before that word and the reader's fence after it synchronize, and the reader sees a
//! `claim` above `p + capacity`. So what it copied at or after `claim - capacity` is as it was
//! committed; what stands before is dropped, and lengths are followed only in what is left. A noted
//! start is overwritten by one of a later lap, which may lie anywhere in its block: it is as it was
//! noted where `claim - capacity` is not above the *beginning* of the block. Words are atomics: the
//! race is no undefined behaviour, only a copy that is thrown away. `tools/models` checks this with
//! loom, and that the check fails where either fence is left out.

mod place;
mod progress;
mod reader;
mod segment;
mod starts;
mod sync;
mod wait;
mod words;
mod writer;

pub use progress::{Progress, Progresses};
pub use reader::{Lost, Read, Reader};
pub use segment::Segment;
pub use wait::{Parked, Waits, Wake};
pub use writer::Writer;

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;

use crate::limits::{RING_MAX, RING_MIN};
use place::Shared;

/// A ring that can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// A size out of bounds.
    #[error("a ring of {asked} bytes: it has to be {RING_MIN} to {RING_MAX}")]
    Size {
        /// Bytes that were asked for.
        asked: usize,
    },
    /// More memory than there is.
    #[error("a ring needs {asked} bytes at once, and the system does not give them")]
    Memory {
        /// Bytes that were asked for.
        asked: usize,
    },
}

/// A position that the ring no longer holds, or does not hold yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not retained: the ring holds the records {oldest} to {newest}")]
pub struct NotRetained {
    /// Number of the oldest record that can be read; `newest + 1` where there is none.
    pub oldest: u64,
    /// Number of the newest record; 0 where there is none.
    pub newest: u64,
}

/// A ring of `bytes`, rounded up to a power of two, and its one writer.
///
/// # Errors
/// [`RingError`] where `bytes` is not within `RING_MIN..=RING_MAX`, or memory is short.
pub fn ring(bytes: usize) -> Result<(Writer, Ring), RingError> {
    ring_from(bytes, 1, 0)
}

/// The same for a sequence that goes on: the first record has number `first_seq`, and no `ts_out`
/// is before this one.
///
/// # Errors
/// As [`ring`].
///
/// # Panics
/// Where `first_seq` is 0, which no record has.
pub fn ring_from(bytes: usize, first_seq: u64, ts_out: u64) -> Result<(Writer, Ring), RingError> {
    assert!(first_seq > 0, "records are numbered from 1");
    if !(RING_MIN..=RING_MAX).contains(&bytes) {
        return Err(RingError::Size { asked: bytes });
    }
    let shared = Arc::new(Shared::new(bytes.next_power_of_two(), first_seq, ts_out)?);
    Ok((Writer::new(shared.clone()), Ring { shared }))
}

/// The readers' side of the ring.
#[derive(Clone)]
pub struct Ring {
    shared: Arc<Shared>,
}

impl Ring {
    /// A reader of what will be committed from now on.
    pub fn reader(&self) -> Reader {
        Reader::new(self.shared.clone(), self.shared.newest())
    }

    /// A reader whose first record has number `seq + 1`. The newest `seq` is allowed: nothing has
    /// come after it yet.
    ///
    /// # Errors
    /// [`NotRetained`] where that record has been overwritten or `seq` is beyond the newest.
    pub fn reader_after(&self, seq: u64) -> Result<Reader, NotRetained> {
        let found = self.shared.find(|place| place.seq <= seq);
        match seq.checked_add(1) == Some(found.place.seq) {
            true => Ok(Reader::new(self.shared.clone(), found.place)),
            false => Err(found.not_retained()),
        }
    }

    /// A reader whose first record is the first with this `ts_out` (ns) or a later one. Where none
    /// has been committed yet it starts at what comes next, whatever its `ts_out`.
    ///
    /// # Errors
    /// [`NotRetained`] where that record may have been overwritten.
    pub fn reader_at_time(&self, ts_out: u64) -> Result<Reader, NotRetained> {
        let found = self.shared.find(|place| self.shared.ts_out(place) < ts_out);
        match found.place != found.oldest || found.oldest.seq == 1 {
            true => Ok(Reader::new(self.shared.clone(), found.place)),
            false => Err(found.not_retained()),
        }
    }

    /// Number of the newest record; that of the last before the ring where there is none.
    pub fn newest(&self) -> u64 {
        self.shared.newest().seq - 1
    }

    /// Number of the oldest record that a reader can begin at; `newest + 1` where there is none.
    pub fn oldest(&self) -> u64 {
        self.shared.oldest().seq
    }

    /// Bytes committed since the start.
    pub fn committed(&self) -> u64 {
        self.shared.commit.load(Acquire)
    }

    /// Bytes that it has.
    pub fn capacity(&self) -> u64 {
        self.shared.words.capacity()
    }

    /// Where idle readers park.
    pub fn waits(&self) -> &Arc<Waits> {
        &self.shared.waits
    }
}

const _: () = {
    use crate::limits::{BLOCK_BYTES, RECORD_MAX, RECORD_MIN};
    assert!(RECORD_MIN > 8 && RECORD_MAX / 4 <= u8::MAX as usize);
    assert!(RING_MAX.is_power_of_two() && BLOCK_BYTES.is_power_of_two() && BLOCK_BYTES >= 8);
};
