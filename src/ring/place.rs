//! What the writer and its readers share, and where a record stands in it: the oldest, the newest,
//! by number, by time.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use crossbeam::utils::CachePadded;

use super::slot::{Slots, length};
use super::sync::{AtomicU64, fence};
use super::wait::Waits;
use super::{NotRetained, RingError};
use crate::limits::{RECORD_SLOTS_MAX, RING_BATCH_SHARE};

/// A boundary between records: where one starts, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Slots since the start.
    pub(super) position: u64,
    /// Number of the record that starts here.
    pub(super) seq: u64,
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
    /// Position up to which slots may have been written (invariant 1).
    pub(super) claim: CachePadded<AtomicU64>,
    /// Position up to which records are whole (invariants 1 and 2).
    pub(super) commit: CachePadded<AtomicU64>,
    pub(super) slots: Slots,
    pub(super) waits: Arc<Waits>,
    /// Number of the first record.
    first_seq: u64,
}

impl Shared {
    pub(super) fn new(slots: usize, first_seq: u64) -> Result<Self, RingError> {
        Ok(Self {
            claim: CachePadded::new(AtomicU64::new(0)),
            commit: CachePadded::new(AtomicU64::new(0)),
            slots: Slots::new(slots)?,
            waits: Arc::new(Waits::new()),
            first_seq,
        })
    }

    /// Where the first record starts.
    pub(super) fn first(&self) -> Place {
        Place { position: 0, seq: self.first_seq }
    }

    /// Slots of one commit at most.
    pub(super) fn batch_max(&self) -> u64 {
        self.slots.capacity() / RING_BATCH_SHARE as u64
    }

    /// The position from which on everything that was read before this call is whole: what lies
    /// before may have been overwritten while it was read.
    #[inline]
    pub(super) fn whole_from(&self) -> u64 {
        fence(Acquire);
        self.claim.load(Relaxed).saturating_sub(self.slots.capacity())
    }

    /// The oldest record that can still be read. Where the writer overtakes the search, the next
    /// one leaves it a margin, twice as wide each time.
    #[cold]
    pub(super) fn oldest(&self) -> Place {
        let mut margin = 0;
        loop {
            let commit = self.commit.load(Acquire);
            if commit == 0 {
                return self.first();
            }
            let from = (self.whole_from() + margin).min(commit);
            let found = self.start_in(from, commit);
            let too_wide = found.is_none();
            if let Some(place) = found.filter(|place| self.whole_from() <= place.position) {
                return place;
            }
            margin = match too_wide {
                true => 0,
                false => (2 * margin).clamp(1, self.slots.capacity() / 4),
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
            let last = self.start_before(commit, commit.saturating_sub(RECORD_SLOTS_MAX as u64));
            if last.seq != 0 && self.whole_from() <= last.position {
                return Place { position: commit, seq: last.seq + 1 };
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

    /// Binary search between two places: what was found, and the lowest position that was looked
    /// at. The records there have to be whole, or the result means nothing.
    fn search(&self, oldest: Place, newest: Place, before: impl Fn(Place) -> bool) -> (Place, u64) {
        let (mut low, mut found, mut lowest) = (oldest.position, newest, newest.position);
        while low < found.position {
            let middle = low + (found.position - low) / 2;
            let place = self.start_before(middle + 1, low);
            lowest = lowest.min(place.position);
            if before(place) {
                let next = self.start_in(place.position + 1, found.position);
                low = next.map_or(found.position, |place| place.position);
            } else {
                found = place;
            }
        }
        (found, lowest)
    }

    /// The first record that starts in `from..to`.
    fn start_in(&self, from: u64, to: u64) -> Option<Place> {
        let places = (from..to).map(|position| self.place(position));
        places.take(RECORD_SLOTS_MAX).find(|place| place.seq != 0)
    }

    /// The last record that starts before `to`, or whatever is at `from`.
    fn start_before(&self, to: u64, from: u64) -> Place {
        let mut places = (from..to).rev().map(|position| self.place(position));
        places.find(|place| place.seq != 0).unwrap_or(Place { position: from, seq: 0 })
    }

    fn place(&self, position: u64) -> Place {
        Place { position, seq: self.slots.start(position) }
    }

    /// `ts_out` of the record at `place`, ns.
    pub(super) fn ts_out(&self, place: Place) -> u64 {
        let words = length(self.slots.word(place.position, 0)) / 8;
        u64::from_le(self.slots.word(place.position, words.saturating_sub(1)))
    }
}
