//! The books of one connection: what it received against what the server says it sent.

use super::checks::Checks;
use super::sequence::{Sequence, Steps};
use super::stamp::Stamp;
use crate::cli::client::batch::{Head, SNAPSHOT};
use crate::cli::client::message::{Counts, Gap};

/// One connection's checks as they go on.
#[derive(Debug)]
pub(crate) struct Ledger {
    checks: Checks,
    position: Option<Head>,
    /// The venue's numbers, where they are looked at.
    sequence: Option<Sequence>,
    /// Server's count minus ours at the last comparison: a difference is found once.
    difference: i128,
}

impl Ledger {
    /// Empty books; `steps` says how the venue's sequence goes on, where it is to be checked.
    pub(crate) fn new(steps: Option<Steps>) -> Self {
        let sequence = steps.map(Sequence::new);
        Self { checks: Checks::default(), position: None, sequence, difference: 0 }
    }

    /// What was found.
    pub(crate) fn checks(&self) -> Checks {
        let mut checks = self.checks.clone();
        if let Some(sequence) = &self.sequence {
            checks.enter(sequence);
        }
        checks
    }

    /// A batch begins.
    #[inline]
    pub(crate) fn head(&mut self, head: &Head) {
        if let Some(before) = self.position {
            if head.epoch_low != before.epoch_low {
                self.checks.epoch_changes += 1;
            } else if head.seq < before.seq {
                self.checks.seq_decreased += 1;
            }
        }
        self.position = Some(*head);
    }

    /// A record of a batch with these flags.
    #[inline]
    pub(crate) fn record(&mut self, flags: u8, stamp: Stamp) {
        if flags & SNAPSHOT != 0 || !stamp.is_counted() {
            return;
        }
        self.checks.records += 1;
        if let Some(venue) = &mut self.sequence
            && let Some(number) = stamp.sequence
        {
            venue.see_low(number);
        }
    }

    /// The server's counts of everything before this message; true where they are there, whole, and
    /// agree with ours.
    pub(crate) fn compare(&mut self, counts: &Counts) -> bool {
        let none = counts.records.is_none() && counts.subscriptions.is_empty();
        if none || !counts.next.is_null() {
            return false;
        }
        let sum = |part: fn(&_) -> u64| counts.subscriptions.iter().map(part).sum::<u64>();
        let by_subscription = sum(|s| s.records.0);
        let total = counts.records.map_or(by_subscription, |records| records.0);
        let consistent = total == by_subscription;
        let difference = i128::from(total) - i128::from(self.checks.records);
        let found = difference - self.difference;
        self.difference = difference;
        self.checks.counts_compared += 1;
        self.checks.counts_inconsistent += u64::from(!consistent);
        self.checks.missing += found.max(0) as u64;
        self.checks.surplus += (-found).max(0) as u64;
        self.checks.dropped = sum(|s| s.dropped.0);
        self.checks.conflated = sum(|s| s.conflated.0);
        consistent && difference == 0
    }

    /// The server announced a loss.
    pub(crate) fn gap(&mut self, gap: &Gap) {
        self.checks.gaps += 1;
        self.checks.gap_records += gap.records.map_or(1, |records| records.0);
    }

    /// The server warned that its queue for us is half full.
    pub(crate) fn lagging(&mut self) {
        self.checks.lagging += 1;
    }

    /// The last counts agreed with ours, and nothing was lost on the way.
    pub(crate) fn verified(&mut self) {
        self.checks.verified = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::message::{Number, SubscriptionCounts};
    use crate::wire::record::rtype;

    fn trade(sequence: u32) -> Stamp {
        Stamp { rtype: rtype::MBP_0, ts_event: 0, ts_out: 0, sequence: Some(sequence) }
    }

    fn counts(records: u64) -> Counts {
        let one = SubscriptionCounts { records: Number(records), ..SubscriptionCounts::default() };
        Counts { records: Some(Number(records)), subscriptions: vec![one], ..Counts::default() }
    }

    #[test]
    fn a_difference_to_the_servers_count_is_found_once() {
        let mut ledger = Ledger::new(None);
        (0..10).for_each(|n| ledger.record(0, trade(n)));
        assert!(ledger.compare(&counts(10)));
        assert!(!ledger.compare(&counts(12)));
        assert!(!ledger.compare(&counts(12)));
        assert_eq!((ledger.checks.missing, ledger.checks.surplus), (2, 0));
        ledger.record(0, trade(10));
        assert!(!ledger.compare(&counts(12)));
        assert_eq!((ledger.checks.missing, ledger.checks.surplus), (2, 1));
    }

    #[test]
    fn subscriptions_that_do_not_add_up_are_told() {
        let mut ledger = Ledger::new(None);
        let wrong = Counts { records: Some(Number(0)), ..counts(3) };
        assert!(!ledger.compare(&wrong));
        assert_eq!((ledger.checks.counts_inconsistent, ledger.checks.missing), (1, 0));
    }

    #[test]
    fn snapshots_and_mappings_are_not_counted() {
        let mut ledger = Ledger::new(Some(Steps::ByOne));
        ledger.record(SNAPSHOT, trade(5));
        ledger.record(0, Stamp { rtype: rtype::SYMBOL_MAPPING, ..trade(9) });
        ledger.record(0, trade(1));
        let checks = ledger.checks();
        assert_eq!((checks.records, checks.sequence_gaps), (1, 0));
    }

    #[test]
    fn the_venues_sequence_tells_gaps_duplicates_and_disorder() {
        let mut ledger = Ledger::new(Some(Steps::ByOne));
        for sequence in [u32::MAX, 0, 1, 5, 5, 4, 5] {
            ledger.record(0, trade(sequence));
        }
        let checks = ledger.checks();
        assert_eq!((checks.sequence_gaps, checks.sequence_missing), (1, 2));
        assert_eq!((checks.sequence_duplicates, checks.sequence_reordered), (2, 1));
    }

    #[test]
    fn positions_never_decrease_within_an_epoch() {
        let mut ledger = Ledger::new(None);
        for (epoch_low, seq) in [(1, 5), (1, 5), (1, 4), (2, 1)] {
            ledger.head(&Head { epoch_low, seq, ..Head::default() });
        }
        assert_eq!((ledger.checks.seq_decreased, ledger.checks.epoch_changes), (1, 1));
    }
}
