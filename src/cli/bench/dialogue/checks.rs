//! What was checked on a connection, and on all of them: sums, and the worst.

use std::ops::AddAssign;

use serde::Serialize;

use super::sequence::Sequence;

/// What the checks found, of one connection or of many. Counted from the subscription to the end,
/// warm-up included: a record lost then is lost as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Checks {
    /// Records received, snapshots and mappings not counted.
    pub(crate) records: u64,
    /// Server's counts that were compared.
    pub(crate) counts_compared: u64,
    /// Records that the server counted and that did not arrive.
    pub(crate) missing: u64,
    /// Records that arrived and that the server did not count.
    pub(crate) surplus: u64,
    /// Counts of a connection that were not the sum of its subscriptions'.
    pub(crate) counts_inconsistent: u64,
    /// Connections whose counts agreed after their last record.
    pub(crate) verified: u64,
    /// Gaps that were announced.
    pub(crate) gaps: u64,
    /// Records in announced gaps; a gap of unknown size is 1.
    pub(crate) gap_records: u64,
    /// Records that the server says it dropped.
    pub(crate) dropped: u64,
    /// Records that the server says it conflated.
    pub(crate) conflated: u64,
    /// Warnings that a queue was half full.
    pub(crate) lagging: u64,
    /// Batches whose `seq` was below that of the batch before.
    pub(crate) seq_decreased: u64,
    /// Changes of the epoch within a connection.
    pub(crate) epoch_changes: u64,
    /// Holes in the venue's sequence.
    pub(crate) sequence_gaps: u64,
    /// Sequence numbers in those holes.
    pub(crate) sequence_missing: u64,
    /// Records whose sequence number had come before.
    pub(crate) sequence_duplicates: u64,
    /// Records with a lower sequence number than one before, which had not come yet.
    pub(crate) sequence_reordered: u64,
    /// Messages that are no records and no part of the protocol.
    pub(crate) foreign: u64,
}

impl Checks {
    /// Records that are known to be lost, announced or not.
    pub(crate) fn lost(&self) -> u64 {
        self.missing + self.gap_records.max(self.dropped)
    }

    /// Records that are known to have come twice.
    pub(crate) fn duplicated(&self) -> u64 {
        self.surplus.max(self.sequence_duplicates)
    }

    /// Records and batches that came later than they should have.
    pub(crate) fn reordered(&self) -> u64 {
        self.seq_decreased + self.sequence_reordered
    }

    /// Enters what the numbers of the records told.
    pub(crate) fn enter(&mut self, sequence: &Sequence) {
        self.sequence_gaps = sequence.gaps;
        self.sequence_missing = sequence.missing;
        self.sequence_duplicates = sequence.duplicates;
        self.sequence_reordered = sequence.reordered;
    }
}

impl AddAssign<&Self> for Checks {
    fn add_assign(&mut self, other: &Self) {
        self.records += other.records;
        self.counts_compared += other.counts_compared;
        self.missing += other.missing;
        self.surplus += other.surplus;
        self.counts_inconsistent += other.counts_inconsistent;
        self.verified += other.verified;
        self.gaps += other.gaps;
        self.gap_records += other.gap_records;
        self.dropped += other.dropped;
        self.conflated += other.conflated;
        self.lagging += other.lagging;
        self.seq_decreased += other.seq_decreased;
        self.epoch_changes += other.epoch_changes;
        self.sequence_gaps += other.sequence_gaps;
        self.sequence_missing += other.sequence_missing;
        self.sequence_duplicates += other.sequence_duplicates;
        self.sequence_reordered += other.sequence_reordered;
        self.foreign += other.foreign;
    }
}

/// One figure of many connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) sum: u64,
    /// Of the connection that has most of it.
    pub(crate) worst: u64,
}

impl AddAssign<u64> for Tally {
    fn add_assign(&mut self, one: u64) {
        self.sum += one;
        self.worst = self.worst.max(one);
    }
}

/// The checks of many connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) checks: Checks,
    pub(crate) lost: Tally,
    pub(crate) duplicated: Tally,
    pub(crate) reordered: Tally,
    pub(crate) conflated: Tally,
    /// Gaps that were announced.
    pub(crate) gaps: Tally,
}

impl AddAssign<&Checks> for Books {
    fn add_assign(&mut self, one: &Checks) {
        self.checks += one;
        self.lost += one.lost();
        self.duplicated += one.duplicated();
        self.reordered += one.reordered();
        self.conflated += one.conflated;
        self.gaps += one.gaps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_hold_the_sum_and_the_worst() {
        let mut books = Books::default();
        for (missing, dropped, surplus) in [(1, 5, 0), (4, 0, 2)] {
            books += &Checks { missing, dropped, surplus, ..Checks::default() };
        }
        assert_eq!((books.checks.missing, books.checks.dropped), (5, 5));
        assert_eq!(books.lost, Tally { sum: 10, worst: 6 });
        assert_eq!(books.duplicated, Tally { sum: 2, worst: 2 });
    }
}
