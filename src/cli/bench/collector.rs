//! One thread's measurements: shared by its connections, handed on second by second.

use std::sync::mpsc::Sender;

use super::interval::{Interval, Measure};
use super::worker::Event;
use crate::clock::{SECOND, UnixNanos};

/// The time in which what is received counts, ns; `end` is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: UnixNanos,
    pub(crate) end: UnixNanos,
}

impl Window {
    /// Seconds in it, the last one perhaps not whole.
    pub(crate) fn intervals(self) -> usize {
        (self.end - self.start).div_ceil(SECOND) as usize
    }

    /// Where its second `index` ends.
    pub(crate) fn end_of(self, index: usize) -> UnixNanos {
        self.end.min(self.start + (index as u64 + 1) * SECOND)
    }

    fn holds(self, now: UnixNanos) -> bool {
        (self.start..self.end).contains(&now)
    }
}

/// The measurements of a thread as they go on.
pub(crate) struct Collector {
    interval: Interval,
    window: Option<Window>,
    /// Where the current second ends; the largest time where there is none.
    roll_at: UnixNanos,
    events: Sender<Event>,
}

impl Collector {
    /// Measures nothing until there is a window.
    pub(crate) fn new(interval: Interval, events: Sender<Event>) -> Self {
        Self { interval, window: None, roll_at: UnixNanos::MAX, events }
    }

    /// From now on, what is received within `window` counts.
    pub(crate) fn open(&mut self, window: Window) {
        self.window = Some(window);
        self.roll_at = window.end_of(0);
    }

    /// Hands on the seconds that are over at `now`.
    #[inline]
    pub(crate) fn turn(&mut self, now: UnixNanos) {
        while now >= self.roll_at {
            self.roll();
        }
    }

    #[cold]
    fn roll(&mut self) {
        let Some(window) = self.window else { return };
        // Where nobody listens any more, the run has been given up.
        let _ = self.events.send(Event::Interval(Box::new(self.interval.roll())));
        let next = self.interval.index;
        self.roll_at = if next < window.intervals() { window.end_of(next) } else { UnixNanos::MAX };
    }

    /// When something of it is due next; none where nothing is.
    pub(crate) fn due(&self) -> Option<UnixNanos> {
        (self.roll_at < UnixNanos::MAX).then_some(self.roll_at)
    }

    /// A socket was read at `now`; true where it counts.
    #[inline]
    pub(crate) fn read(&mut self, now: UnixNanos, bytes: usize) -> bool {
        self.turn(now);
        let counts = self.window.is_some_and(|window| window.holds(now));
        if counts {
            self.interval.reads += 1;
            self.interval.bytes += bytes as u64;
        }
        counts
    }

    /// Starts measuring what came in a read that counts.
    #[inline]
    pub(crate) fn measure(&mut self, ts_send: Option<UnixNanos>, now: UnixNanos) -> Measure<'_> {
        self.interval.begin(ts_send, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn only_what_is_received_within_the_window_counts_and_every_second_is_handed_on() {
        let (events, received) = mpsc::channel();
        let mut collector = Collector::new(Interval::new().unwrap(), events);
        assert!(!collector.read(50, 1));
        let window = Window { start: 100, end: 100 + SECOND * 5 / 2 };
        collector.open(window);
        assert!(!collector.read(99, 1));
        assert!(collector.read(100, 10));
        assert!(collector.read(window.end - 1, 7));
        assert!(!collector.read(window.end, 1));
        collector.turn(window.end + SECOND);
        let bytes: Vec<_> = received
            .try_iter()
            .map(|event| match event {
                Event::Interval(interval) => (interval.index, interval.bytes),
                _ => panic!("no other event"),
            })
            .collect();
        assert_eq!(bytes, [(0, 10), (1, 0), (2, 7)]);
    }
}
