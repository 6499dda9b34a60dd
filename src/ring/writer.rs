//! The one writer: claims slots for a batch, fills them, commits them, wakes who sleeps.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

use super::place::{Place, Shared};
use super::slot::slots_of;
use super::sync::fence;
use crate::limits::{CLAIM_SLOTS, RECORD_MAX, RECORD_MIN};

/// Publishes records. There is one to a ring, and it never waits.
pub struct Writer {
    shared: Arc<Shared>,
    /// Where the next record goes.
    next: Place,
    /// As stored in the ring: `next`, or some slots ahead of it.
    claim: u64,
    ts_out: u64,
    /// Are there readers to be woken?
    wakes: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, ts_out: u64) -> Self {
        Self { next: shared.first(), shared, claim: 0, ts_out, wakes: true }
    }

    /// Wakes nobody from now on, and saves the fence that finding sleepers takes: two thirds of
    /// what a commit of one record costs. For rings whose readers never sleep.
    ///
    /// # Panics
    /// Where a reader that may sleep is registered.
    pub fn never_wake(&mut self) {
        self.shared.waits.forbid();
        self.wakes = false;
    }

    /// Publishes bare records in one commit, each with `ts_out` (ns) appended, and returns the
    /// number of the newest. `slots` is what they take, or more. A `ts_out` before the last one
    /// counts as the last one (invariant 4).
    ///
    /// # Panics
    /// Where `slots` is above [`Writer::batch_max`], the records take more than that, or one is no
    /// record: readers' safety rests on it. Nothing is committed then.
    #[inline]
    pub fn publish<'a>(
        &mut self,
        slots: usize,
        records: impl Iterator<Item = &'a [u8]>,
        ts_out: u64,
    ) -> u64 {
        self.claim(slots as u64);
        self.ts_out = self.ts_out.max(ts_out);
        let end = self.store(self.next.position + slots as u64, records);
        self.commit(end);
        self.newest()
    }

    /// Announces that slots will be overwritten, before any of them is. Some more than are needed:
    /// every reader looks at the claim, and the line that it is on would change hands with each
    /// commit.
    #[inline]
    fn claim(&mut self, slots: u64) {
        let max = self.shared.batch_max();
        assert!(slots <= max, "a batch of {slots} slots: the ring takes {max} at once");
        let end = self.next.position + slots;
        if end > self.claim {
            self.claim = end.max(self.next.position + max.min(CLAIM_SLOTS));
            self.shared.claim.store(self.claim, Relaxed);
            fence(Release);
        }
    }

    /// Fills slots up to `limit` at most, and returns the place after the last record.
    #[inline]
    fn store<'a>(&self, limit: u64, records: impl Iterator<Item = &'a [u8]>) -> Place {
        let mut next = self.next;
        for bare in records {
            let published = bare.len() + 8;
            assert!(
                (RECORD_MIN..=RECORD_MAX).contains(&published),
                "a record of {published} bytes"
            );
            assert!(bare.len() % 8 == 0 && bare[0] as usize * 4 == bare.len(), "no DBN record");
            let end = next.position + slots_of(published) as u64;
            assert!(end <= limit, "the batch takes more slots than were claimed");
            self.shared.slots.store(next.position, bare, next.seq, self.ts_out);
            next = Place { position: end, seq: next.seq + 1 };
        }
        next
    }

    /// Lets the readers see everything before `end`.
    #[inline]
    fn commit(&mut self, end: Place) {
        self.next = end;
        self.shared.commit.store(end.position, Release);
        if self.wakes {
            self.shared.waits.notify();
        }
    }

    /// Number of the newest record; that of the last before the ring where there is none.
    #[inline]
    pub fn newest(&self) -> u64 {
        self.next.seq - 1
    }

    /// Slots committed since the start.
    #[inline]
    pub fn committed(&self) -> u64 {
        self.next.position
    }

    /// Slots of one batch at most.
    #[inline]
    pub fn batch_max(&self) -> usize {
        self.shared.batch_max() as usize
    }
}
