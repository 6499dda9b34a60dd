//! When the records of a file came: counts over time, in as many steps as a line has columns.
//!
//! The steps lie on the grid of the epoch and get wider where the records reach over more of them;
//! so the order of the records does not matter, and memory is bounded.

use std::collections::BTreeMap;

use crate::clock::{SECOND, UnixNanos};

/// Columns at most.
const COLUMNS: u64 = 72;
const MILLI: u64 = SECOND / 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Widths of a step, ns, each a multiple of the one before; the last covers all times there are.
const WIDTHS: [u64; 21] = [
    MILLI,
    5 * MILLI,
    10 * MILLI,
    50 * MILLI,
    100 * MILLI,
    500 * MILLI,
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    28 * DAY,
    28 * 13 * 10 * DAY,
];

const _: () = {
    let mut at = 1;
    while at < WIDTHS.len() {
        assert!(WIDTHS[at].is_multiple_of(WIDTHS[at - 1]));
        at += 1;
    }
    assert!(u64::MAX / WIDTHS[WIDTHS.len() - 1] < COLUMNS);
};

/// Counts over time.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Which of [`WIDTHS`].
    width: usize,
    /// Records by step; steps without any are not there.
    steps: BTreeMap<u64, u64>,
    /// The step of the last record and its count, which is not in `steps`.
    open: (u64, u64),
}

impl Activity {
    /// A record came at this time.
    #[inline]
    pub(super) fn note(&mut self, time: UnixNanos) {
        let step = time / WIDTHS[self.width];
        // One without records is none: its number says nothing.
        if step == self.open.0 && self.open.1 > 0 {
            self.open.1 += 1;
            return;
        }
        self.close();
        self.open = (time / WIDTHS[self.width], 1);
        self.widen();
    }

    /// Puts the open step to the others.
    fn close(&mut self) {
        let (step, count) = std::mem::take(&mut self.open);
        if count > 0 {
            *self.steps.entry(step).or_default() += count;
        }
    }

    /// Takes wider steps until they fit the columns.
    fn widen(&mut self) {
        while self.span() > COLUMNS {
            self.close();
            let times = WIDTHS[self.width + 1] / WIDTHS[self.width];
            self.width += 1;
            for (step, count) in std::mem::take(&mut self.steps) {
                *self.steps.entry(step / times).or_default() += count;
            }
        }
    }

    /// Steps from the first to the last.
    fn span(&self) -> u64 {
        let open = (self.open.1 > 0).then_some(self.open.0);
        let first = self.steps.keys().next().copied().into_iter().chain(open).min();
        let last = self.steps.keys().next_back().copied().into_iter().chain(open).max();
        first.zip(last).map_or(0, |(first, last)| last - first + 1)
    }

    /// The steps from the first to the last with their counts, and how wide they are, ns.
    pub(super) fn counts(&mut self) -> (u64, Vec<u64>) {
        self.close();
        let first = self.steps.keys().next().copied().unwrap_or(0);
        let mut counts = vec![0; self.span() as usize];
        for (step, count) in &self.steps {
            counts[(step - first) as usize] = *count;
        }
        (WIDTHS[self.width], counts)
    }
}

/// The counts as a line of bars, one a step: the highest is full, none is empty.
pub(super) fn bars(counts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: &u64| match count {
        0 => ' ',
        count => BARS[((u128::from(*count) * 8).div_ceil(u128::from(most)) - 1) as usize],
    };
    counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn activity(times: impl IntoIterator<Item = u64>) -> (u64, Vec<u64>) {
        let mut activity = Activity::default();
        times.into_iter().for_each(|time| activity.note(time));
        activity.counts()
    }

    #[test]
    fn steps_get_as_wide_as_they_have_to() {
        assert_eq!(activity([]), (MILLI, vec![]));
        assert_eq!(activity([5 * HOUR, 5 * HOUR + MILLI]), (MILLI, vec![1, 1]));
        let hour = activity((0..3_600).map(|second| 7 * DAY + second * SECOND));
        assert_eq!(hour, (MINUTE, vec![60; 60]));
        let hole = activity([DAY, DAY + 1, DAY + 22 * HOUR]);
        assert_eq!((hole.0, hole.1.len(), hole.1[0], hole.1[44]), (30 * MINUTE, 45, 2, 1));
        assert_eq!(activity([0, u64::MAX]).1.iter().sum::<u64>(), 2);
    }

    #[test]
    fn bars_are_high_where_much_came() {
        assert_eq!(bars(&[0, 1, 4, 8, 100, 800]), " ▁▁▁▁█");
        assert_eq!(bars(&[8, 4, 0, 1, u64::MAX]).chars().count(), 5);
        assert_eq!(bars(&[8, 7, 4, 1]), "█▇▄▁");
        assert_eq!(bars(&[]), "");
    }

    #[test]
    fn a_time_of_zero_behind_later_ones_widens_the_steps() {
        let (width, counts) = activity([DAY, 2 * DAY, 0]);
        assert_eq!((width, counts.len(), counts[0]), (HOUR, 49, 1));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_nothing_is_lost(mut times in prop::collection::vec(
            prop_oneof![0..SECOND, 0..DAY, any::<u64>()], 0..200,
        )) {
            let (width, counts) = activity(times.iter().copied());
            prop_assert_eq!(counts.iter().sum::<u64>(), times.len() as u64);
            prop_assert!(counts.len() as u64 <= COLUMNS);
            times.sort_unstable();
            prop_assert_eq!(activity(times), (width, counts));
        }
    }
}
