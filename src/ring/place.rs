//! What the writer and its readers share, and where a record stands in it: the oldest, the newest,
//! by number, by time.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use crossbeam::utils::CachePadded;

use super::starts::{Starts, block_of};
use super::sync::{AtomicU64, fence};
use super::wait::Waits;
use super::words::{Words, length};
use super::{NotRetained, RingError};
use crate::limits::{BLOCK_BYTES, RECORD_MAX, RING_BATCH_SHARE};

/// A boundary between records: where one starts, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes since the start.
    pub(super) position: u64,
    /// Number of the record that starts here.
    pub(super) seq: u64,
}

impl Place {
    /// Behind the record of so many bytes that starts here.
    #[inline]
    pub(super) fn after(self, bytes: usize) -> Self {
        Self { position: self.position + bytes as u64, seq: self.seq + 1 }
    }
}

/// What a search found: a place between the oldest and the newest, as they were then.
pub(super) struct Found {
    pub(super) oldest: Place,
    pub(super) newest: Place,
    /// The newest place where every record is before what was looked for.
    pub(super) place: Place,
}

impl Found {
    /// What there was instead.
    pub(super) fn not_retained(&self) -> NotRetained {
        NotRetained { oldest: self.oldest.seq, newest: self.newest.seq - 1 }
    }
}

/// The ring itself; its invariants are numbered in [`super`].
pub(super) struct Shared {
    /// Position up to which words may have been written (invariant 1).
    pub(super) claim: CachePadded<AtomicU64>,
    /// Position up to which records are whole (invariants 1 and 2).
    pub(super) commit: CachePadded<AtomicU64>,
    pub(super) words: Words,
    pub(super) starts: Starts,
    pub(super) waits: Arc<Waits>,
    /// Number of the first record.
    first_seq: u64,
}

impl Shared {
    pub(super) fn new(bytes: usize, first_seq: u64, ts_out: u64) -> Result<Self, RingError> {
        Ok(Self {
            claim: CachePadded::new(AtomicU64::new(0)),
            commit: CachePadded::new(AtomicU64::new(0)),
            words: Words::new(bytes, ts_out)?,
            starts: Starts::new(bytes)?,
            waits: Arc::new(Waits::new()),
            first_seq,
        })
    }

    /// Where the first record starts.
    pub(super) fn first(&self) -> Place {
        Place { position: 0, seq: self.first_seq }
    }

    /// Bytes of one commit at most.
    pub(super) fn batch_max(&self) -> u64 {
        self.words.capacity() / RING_BATCH_SHARE as u64
    }

    /// The position from which on everything that was read before this call is whole: what lies
    /// before may have been overwritten while it was read.
    #[inline]
    pub(super) fn whole_from(&self) -> u64 {
        fence(Acquire);
        self.claim.load(Relaxed).saturating_sub(self.words.capacity())
    }

    /// The oldest record that a reader can begin at: the first that starts in a block which is
    /// still whole. Where the writer overtakes the search, the next one leaves it a margin, twice
    /// as wide each time.
    #[cold]
    pub(super) fn oldest(&self) -> Place {
        let mut margin = 0;
        loop {
            let commit = self.commit.load(Acquire);
            if commit == 0 {
                return self.first();
            }
            let from = (self.whole_from() + margin).next_multiple_of(BLOCK_BYTES);
            let found = self.first_from(block_of(from)..block_of(commit) + 1, commit);
            let too_wide = found.is_none();
            if let Some(place) = found.filter(|_| self.whole_from() <= from) {
                return place;
            }
            margin = match too_wide {
                true => 0,
                false => (2 * margin).clamp(BLOCK_BYTES, self.words.capacity() / 4),
            };
        }
    }

    /// What is committed now: the place after the newest record.
    pub(super) fn newest(&self) -> Place {
        loop {
            let commit = self.commit.load(Acquire);
            if commit == 0 {
                return self.first();
            }
            let longest = commit.saturating_sub(RECORD_MAX as u64);
            let mut blocks = (block_of(longest)..=block_of(commit - 1)).rev();
            let Some(last) = blocks.find_map(|block| self.starts.first_in(block, commit)) else {
                continue;
            };
            let newest = self.walk(last, commit, |_| true);
            if self.whole_from() <= block_of(last.position) * BLOCK_BYTES {
                return newest;
            }
        }
    }

    /// Finds the first record that is not `before` what is looked for; `before` holds for no record
    /// after one for which it does not.
    pub(super) fn find(&self, before: impl Fn(Place) -> bool) -> Found {
        loop {
            let (oldest, newest) = (self.oldest(), self.newest());
            let (place, lowest) = self.search(oldest, newest, &before);
            if self.whole_from() <= lowest {
                return Found { oldest, newest, place };
            }
        }
    }

    /// Binary search by blocks between two places, then a walk: what was found, and the lowest
    /// position that was looked at. What lies there has to be whole, or the result means nothing.
    fn search(&self, oldest: Place, newest: Place, before: impl Fn(Place) -> bool) -> (Place, u64) {
        let (mut from, mut lowest) = (oldest, newest.position);
        let mut blocks = block_of(oldest.position) + 1..block_of(newest.position) + 1;
        while !blocks.is_empty() {
            let middle = blocks.start + (blocks.end - blocks.start) / 2;
            lowest = lowest.min(middle * BLOCK_BYTES);
            let first = self.first_from(middle..blocks.end, newest.position);
            match first.filter(|place| before(*place)) {
                Some(place) => (from, blocks.start) = (place, block_of(place.position) + 1),
                None => blocks.end = middle,
            }
        }
        (self.walk(from, newest.position, before), lowest.min(from.position))
    }

    /// The first record that starts in one of these blocks and before `end`.
    fn first_from(&self, mut blocks: Range<u64>, end: u64) -> Option<Place> {
        blocks.find_map(|block| self.starts.first_in(block, end))
    }

    /// Goes on from `place` to the first record that is not `before`, or to `end`.
    fn walk(&self, mut place: Place, end: u64, before: impl Fn(Place) -> bool) -> Place {
        while place.position < end && before(place) {
            // One that is torn may say 0; who asked finds out later.
            place = place.after(length(self.words.word(place.position)).max(8));
        }
        place
    }

    /// `ts_out` of the record at `place`, ns.
    pub(super) fn ts_out(&self, place: Place) -> u64 {
        self.ts_out_before(place.after(length(self.words.word(place.position)).max(8)))
    }

    /// `ts_out` of the record before `place`, ns.
    #[inline]
    pub(super) fn ts_out_before(&self, place: Place) -> u64 {
        u64::from_le(self.words.word(place.position.wrapping_sub(8)))
    }
}
