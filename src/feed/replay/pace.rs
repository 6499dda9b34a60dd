//! When each record is due.

use super::options::PARTS;
use crate::clock::UnixNanos;

/// Maps a recording's time onto the publisher's timeline: never back, holes shortened, exact to the
/// nanosecond (rounded down).
pub(super) struct Pacer {
    /// Millionths of the recording's own pace; none: everything is due at once.
    parts: Option<u64>,
    /// Longest hole, ns of the recording's time.
    max_gap: u64,
    /// When the recording began to play, on the publisher's timeline; none before the first poll.
    start: Option<UnixNanos>,
    /// The newest time in the recording so far.
    newest: Option<UnixNanos>,
    /// The recording's time that was played since `start`, ns, holes shortened.
    played: u64,
}

impl Pacer {
    pub(super) fn new(parts: Option<u64>, max_gap: u64) -> Self {
        Self { parts, max_gap, start: None, newest: None, played: 0 }
    }

    /// Is everything due at once?
    pub(super) fn is_max(&self) -> bool {
        self.parts.is_none()
    }

    /// Begins at `now`, where it has not begun.
    #[inline]
    pub(super) fn begin(&mut self, now: UnixNanos) {
        self.start.get_or_insert(now);
    }

    /// When the next record, recorded at `time`, is due: once for each record, in their order. One
    /// without time, or from before the newest, is due with the one before it.
    #[inline]
    pub(super) fn due(&mut self, time: Option<UnixNanos>) -> UnixNanos {
        if let Some(time) = time {
            let step = time.saturating_sub(self.newest.unwrap_or(time));
            self.played = self.played.saturating_add(step.min(self.max_gap));
            self.newest = self.newest.max(Some(time));
        }
        self.at()
    }

    /// Begins anew, with `pause` ns between what was due last and what comes first.
    pub(super) fn restart(&mut self, pause: u64) {
        self.start = Some(self.at().saturating_add(pause));
        (self.newest, self.played) = (None, 0);
    }

    #[inline]
    fn at(&self) -> UnixNanos {
        let start = self.start.unwrap_or_default();
        let Some(parts) = self.parts else { return start };
        let passed = u128::from(self.played) * u128::from(PARTS) / u128::from(parts);
        start.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: u64 = 31_557_600_000_000_000;

    fn pacer(factor: u64, max_gap: u64) -> Pacer {
        let mut pacer = Pacer::new(Some(factor), max_gap);
        pacer.begin(1_000);
        pacer.begin(9_999);
        pacer
    }

    #[test]
    fn it_is_exact_over_years() {
        for (parts, expected) in [(PARTS, YEAR), (PARTS / 2, YEAR * 2), (PARTS * 100, YEAR / 100)] {
            let mut pacer = pacer(parts, u64::MAX);
            assert_eq!(pacer.due(Some(YEAR)), 1_000);
            assert_eq!(pacer.due(Some(2 * YEAR)), 1_000 + expected);
            assert_eq!(pacer.due(Some(2 * YEAR + 700)), 1_000 + expected + 700 * PARTS / parts);
        }
    }

    #[test]
    fn it_never_goes_back_and_waits_for_no_time() {
        let mut pacer = pacer(PARTS, u64::MAX);
        let times = [None, Some(50), Some(40), None, Some(45), Some(60)];
        assert_eq!(times.map(|t| pacer.due(t)), [1_000, 1_000, 1_000, 1_000, 1_000, 1_010]);
    }

    #[test]
    fn holes_are_shortened() {
        let mut pacer = pacer(2 * PARTS, 100);
        let times = [0, 100, 201, 5_000, 5_010].map(Some);
        assert_eq!(times.map(|t| pacer.due(t)), [1_000, 1_050, 1_100, 1_150, 1_155]);
    }

    #[test]
    fn it_begins_anew_after_a_pause() {
        let mut pacer = pacer(PARTS, u64::MAX);
        assert_eq!([7, 10].map(|t| pacer.due(Some(t))), [1_000, 1_003]);
        pacer.restart(20);
        assert_eq!([7, 10].map(|t| pacer.due(Some(t))), [1_023, 1_026]);
    }
}
