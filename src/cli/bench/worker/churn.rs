//! `--churn`: visitors that connect and leave, and what became of them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::cli::bench::collector::Window;
use crate::cli::bench::interval::latencies;
use crate::clock::{SECOND, UnixNanos};

/// Visitors of a thread that are under way at once; more have to wait, and their time runs.
const AT_ONCE: usize = 1024;
/// Reasons that are told apart.
const REASONS: usize = 32;

/// What became of visitors.
#[derive(Clone, Debug)]
pub(crate) struct Visits {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
    /// From when they were due to the end of the handshake, ns.
    pub(crate) times: Histogram<u64>,
}

impl Visits {
    /// None yet.
    ///
    /// # Errors
    /// Never with the bounds that are compiled in.
    pub(crate) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self { done: 0, failed: 0, reasons: BTreeMap::new(), times: latencies()? })
    }

    fn failed(&mut self, reason: String) {
        self.failed += 1;
        if self.reasons.len() < REASONS || self.reasons.contains_key(&reason) {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }
}

impl std::ops::AddAssign<&Self> for Visits {
    fn add_assign(&mut self, other: &Self) {
        self.done += other.done;
        self.failed += other.failed;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
        // Same bounds, so that nothing of it can be out of them.
        let _ = self.times.add(&other.times);
    }
}

/// One thread's visitors, each due at its time, however long those before it take.
pub(crate) struct Churn {
    /// Nanoseconds from one visitor to the next; none where there are none.
    pause: Option<f64>,
    window: Option<Window>,
    begin: UnixNanos,
    sent: u64,
    under_way: usize,
    visits: Visits,
}

impl Churn {
    /// `rate` visitors a second, from when there is a window.
    pub(crate) fn new(rate: f64, visits: Visits) -> Self {
        let pause = (rate > 0.0).then(|| SECOND as f64 / rate);
        Self { pause, window: None, begin: 0, sent: 0, under_way: 0, visits }
    }

    /// They come from now on, to the end of the window.
    pub(crate) fn open(&mut self, window: Window, now: UnixNanos) {
        (self.window, self.begin) = (Some(window), now);
    }

    /// When the next one is due, ns; none where none is any more.
    pub(crate) fn due(&self) -> Option<UnixNanos> {
        let (pause, window) = (self.pause?, self.window?);
        let due = self.begin + (self.sent as f64 * pause) as u64;
        (due < window.end).then_some(due)
    }

    /// Takes the next one, where it is due; gives when it was.
    pub(crate) fn next(&mut self, now: UnixNanos) -> Option<UnixNanos> {
        let due = self.due().filter(|due| *due <= now && self.under_way < AT_ONCE)?;
        self.sent += 1;
        self.under_way += 1;
        Some(due)
    }

    /// Is there no room for another one?
    pub(crate) fn is_full(&self) -> bool {
        self.under_way == AT_ONCE
    }

    /// One that was due at `due` has finished its handshake at `now`.
    pub(crate) fn done(&mut self, due: UnixNanos, now: UnixNanos) {
        if self.counts(due) {
            self.visits.done += 1;
            self.visits.times.saturating_record(now.saturating_sub(due).max(1));
        }
    }

    /// One has not come as far as that.
    pub(crate) fn failed(&mut self, due: UnixNanos, reason: String) {
        if self.counts(due) {
            self.visits.failed(reason);
        }
    }

    /// One is gone.
    pub(crate) fn gone(&mut self) {
        self.under_way -= 1;
    }

    /// None comes any more; those that were due and had to wait for too long have failed.
    pub(crate) fn close(&mut self) {
        while let Some(due) = self.due() {
            self.sent += 1;
            self.failed(due, format!("not begun: {AT_ONCE} were under way"));
        }
    }

    /// Those of the window count, not those of the warm-up.
    fn counts(&self, due: UnixNanos) -> bool {
        self.window.is_some_and(|window| window.start <= due)
    }

    /// What became of them.
    pub(crate) fn into_visits(self) -> Visits {
        self.visits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_are_due_evenly_until_the_window_ends() {
        let mut churn = Churn::new(10.0, Visits::new().unwrap());
        assert_eq!(churn.next(SECOND), None);
        churn.open(Window { start: 2 * SECOND, end: 3 * SECOND }, SECOND);
        let due: Vec<_> = std::iter::from_fn(|| churn.next(9 * SECOND)).collect();
        assert_eq!((due.len(), due[0], due[19]), (20, SECOND, SECOND + SECOND * 19 / 10));
        assert_eq!(churn.due(), None);
    }

    #[test]
    fn one_that_has_to_wait_is_late_and_not_forgotten() {
        let mut churn = Churn::new(1e6, Visits::new().unwrap());
        churn.open(Window { start: 0, end: SECOND }, 0);
        while churn.next(SECOND).is_some() {}
        assert!(churn.is_full());
        churn.done(0, 5_000);
        churn.gone();
        assert_eq!(churn.next(SECOND), Some(AT_ONCE as u64 * 1000));
        churn.close();
        let visits = churn.into_visits();
        assert_eq!((visits.done, visits.times.len(), visits.times.max()), (1, 1, 5_003));
        assert_eq!(visits.failed, 1_000_000 - AT_ONCE as u64 - 1);
    }

    #[test]
    fn those_of_the_warm_up_do_not_count() {
        let mut churn = Churn::new(1.0, Visits::new().unwrap());
        churn.open(Window { start: 10, end: 20 }, 0);
        churn.failed(9, "early".to_owned());
        churn.failed(10, "in time".to_owned());
        churn.done(9, 10);
        let visits = churn.into_visits();
        assert_eq!((visits.done, visits.failed), (0, 1));
        assert_eq!(visits.reasons.keys().collect::<Vec<_>>(), ["in time"]);
    }
}
