//! The one writer: claims room for a batch, fills it, commits it, wakes who sleeps.
//!
//! What is rare is kept out of line. A store waits behind that of the last commit while a reader
//! holds the line of it, and what the writer stores meanwhile, its own stack included, fills the
//! few dozen places that the processor has for stores that wait: the fewer each commit needs, the
//! more commits are on their way at once.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

use super::place::{Place, Shared};
use super::starts::block_of;
use super::sync::fence;
use crate::limits::{BLOCK_BYTES, CLAIM_BYTES, RECORD_MAX, RECORD_MIN};

/// Publishes records. There is one to a ring, and it never waits.
pub struct Writer {
    shared: Arc<Shared>,
    end: End,
    /// As stored in the ring: where the next record goes, or some bytes ahead of it.
    claim: u64,
    /// Bytes of one batch at most.
    batch_max: u64,
    ts_out: u64,
    /// Are there readers to be woken?
    wakes: bool,
}

/// Where the records end.
#[derive(Clone, Copy)]
struct End {
    /// Where the next record goes.
    next: Place,
    /// Where the first block begins of which no start has been noted.
    block: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, ts_out: u64) -> Self {
        let (next, batch_max) = (shared.first(), shared.batch_max());
        Self { shared, end: End { next, block: 0 }, claim: 0, batch_max, ts_out, wakes: true }
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
    /// number of the newest. `bytes` is what they take so, or more. A `ts_out` before the last one
    /// counts as the last one (invariant 4).
    ///
    /// # Panics
    /// Where `bytes` is above [`Writer::batch_max`], the records take more than that, or one is no
    /// record: readers' safety rests on it. Nothing is committed then.
    // Else its callers pass records through memory: twice as many stores for one alone.
    #[inline(always)]
    pub fn publish<'a>(
        &mut self,
        bytes: usize,
        records: impl Iterator<Item = &'a [u8]>,
        ts_out: u64,
    ) -> u64 {
        let limit = self.end.next.position + bytes as u64;
        if limit > self.claim {
            self.claim(limit);
        }
        self.ts_out = self.ts_out.max(ts_out);
        let mut end = self.end;
        for bare in records {
            let (Place { position, seq }, published) = (end.next, bare.len() + 8);
            assert!((RECORD_MIN..=RECORD_MAX).contains(&published), "a record of unknown length");
            assert!(bare.len() % 8 == 0 && bare[0] as usize * 4 == bare.len(), "no DBN record");
            let after = position + published as u64;
            assert!(after <= limit, "the batch takes more bytes than were claimed");
            self.shared.words.store(position, bare, self.ts_out);
            if position >= end.block {
                end.block = self.note(end.next);
            }
            end.next = Place { position: after, seq: seq + 1 };
        }
        self.commit(end);
        self.newest()
    }

    /// Announces that words up to `limit` will be overwritten, before any of them is. Some more
    /// than are needed: every reader looks at the claim, and the line that it is on would change
    /// hands with each commit. A batch within an earlier claim is not above the most there may be.
    #[cold]
    fn claim(&mut self, limit: u64) {
        let (next, max) = (self.end.next.position, self.batch_max);
        let bytes = limit - next;
        assert!(bytes <= max, "a batch of {bytes} bytes: the ring takes {max} at once");
        self.claim = limit.max(next + max.min(CLAIM_BYTES));
        self.shared.claim.store(self.claim, Relaxed);
        fence(Release);
    }

    /// Notes the first start in a block, and returns where the next block begins.
    #[cold]
    fn note(&self, first: Place) -> u64 {
        self.shared.starts.note(first);
        (block_of(first.position) + 1) * BLOCK_BYTES
    }

    /// Lets the readers see everything before `end`.
    #[inline]
    fn commit(&mut self, end: End) {
        self.end = end;
        self.shared.commit.store(end.next.position, Release);
        if self.wakes {
            self.shared.waits.notify();
        }
    }

    /// Number of the newest record; that of the last before the ring where there is none.
    #[inline]
    pub fn newest(&self) -> u64 {
        self.end.next.seq - 1
    }

    /// Bytes committed since the start.
    #[inline]
    pub fn committed(&self) -> u64 {
        self.end.next.position
    }

    /// Bytes of one batch at most.
    #[inline]
    pub fn batch_max(&self) -> usize {
        self.batch_max as usize
    }
}
