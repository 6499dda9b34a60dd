//! The one writer: claims room for a batch, fills it, commits it, wakes who sleeps.
//!
//! A commit stores as few words as it can. A store waits behind that of the last commit while a
//! reader holds the line of it, and whatever the writer stores meanwhile, its own stack included,
//! fills the few dozen places that the processor has for stores that wait: the fewer a commit
//! needs, the more commits are on their way at once. So what is rare is out of line, `ts_out` is
//! looked up where the last record has it, and one record alone has a way of its own, without a
//! loop. Nor is the end of the last commit loaded from where readers look for it: that load would
//! wait as well.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

use super::place::{Place, Shared};
use super::starts::block_of;
use super::sync::fence;
use crate::limits::{BLOCK_BYTES, CLAIM_BYTES, RECORD_MAX, RECORD_MIN};

/// Publishes records. There is one to a ring, and it never waits.
pub struct Writer {
    shared: Arc<Shared>,
    /// Where the next record goes.
    next: Place,
    /// Where the first block begins of which no start has been noted.
    block: u64,
    /// As stored in the ring: where the next record goes, or some bytes ahead of it.
    claim: u64,
    /// Bytes of one batch at most.
    batch_max: u64,
    /// Are there readers to be woken?
    wakes: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (next, batch_max) = (shared.first(), shared.batch_max());
        Self { shared, next, block: 0, claim: 0, batch_max, wakes: true }
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

    /// Publishes a bare record with `ts_out` (ns) appended, and returns its number. A `ts_out`
    /// before the last one counts as the last one (invariant 4).
    ///
    /// # Panics
    /// Where it is no record: readers' safety rests on it. Nothing is committed then.
    // Where the caller knows the length, so do the checks.
    #[inline(always)]
    pub fn publish(&mut self, bare: &[u8], ts_out: u64) -> u64 {
        let bytes = published(bare);
        let ts_out = self.begin(bytes, ts_out);
        self.shared.words.store(self.next.position, bare, ts_out);
        if self.next.position >= self.block {
            self.block = self.note(self.next);
        }
        self.commit(self.next.after(bytes))
    }

    /// Publishes bare records in one commit, each like [`Writer::publish`], and returns the number
    /// of the newest. `bytes` is what they take with their `ts_out`, or more.
    ///
    /// # Panics
    /// Where `bytes` is above [`Writer::batch_max`], the records take more than that, or one is no
    /// record. Nothing is committed then.
    #[inline(never)]
    pub fn publish_batch<'a>(
        &mut self,
        bytes: usize,
        records: impl Iterator<Item = &'a [u8]>,
        ts_out: u64,
    ) -> u64 {
        let ts_out = self.begin(bytes, ts_out);
        let (mut next, mut block, mut left) = (self.next, self.block, bytes);
        for bare in records {
            let bytes = published(bare);
            assert!(bytes <= left, "the batch takes more bytes than were claimed");
            self.shared.words.store(next.position, bare, ts_out);
            if next.position >= block {
                block = self.note(next);
            }
            left -= bytes;
            next = next.after(bytes);
        }
        self.block = block;
        self.commit(next)
    }

    /// Claims room, where there is not enough yet, and returns the `ts_out` of what goes there.
    #[inline(always)]
    fn begin(&mut self, bytes: usize, ts_out: u64) -> u64 {
        let limit = self.next.position + bytes as u64;
        if limit > self.claim {
            self.claim(limit);
        }
        ts_out.max(self.shared.ts_out_before(self.next))
    }

    /// Announces that words up to `limit` will be overwritten, before any of them is. Some more
    /// than are needed: every reader looks at the claim, and the line that it is on would change
    /// hands with each commit. A batch within an earlier claim is not above the most there may be.
    #[cold]
    fn claim(&mut self, limit: u64) {
        let (next, max) = (self.next.position, self.batch_max);
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

    /// Lets the readers see everything before `end`; the number of the newest record there.
    #[inline(always)]
    fn commit(&mut self, end: Place) -> u64 {
        self.next = end;
        self.shared.commit.store(end.position, Release);
        if self.wakes {
            self.shared.waits.notify();
        }
        self.newest()
    }

    /// Number of the newest record; that of the last before the ring where there is none.
    #[inline]
    pub fn newest(&self) -> u64 {
        self.next.seq - 1
    }

    /// Bytes committed since the start.
    #[inline]
    pub fn committed(&self) -> u64 {
        self.next.position
    }

    /// Bytes of one batch at most.
    #[inline]
    pub fn batch_max(&self) -> usize {
        self.batch_max as usize
    }
}

/// Bytes of a bare record once it is published.
///
/// # Panics
/// Where it is no record.
#[inline(always)]
fn published(bare: &[u8]) -> usize {
    let bytes = bare.len() + 8;
    assert!((RECORD_MIN..=RECORD_MAX).contains(&bytes), "a record of unknown length");
    assert!(bare.len().is_multiple_of(8) && bare[0] as usize * 4 == bare.len(), "no DBN record");
    bytes
}
