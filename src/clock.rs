//! The two clocks: real time for what goes on the wire, monotonic time for timers and pacing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the UNIX epoch, as every wire time is.
pub type UnixNanos = u64;

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// The real-time clock, ns since the UNIX epoch (0 before it).
pub fn unix_now() -> UnixNanos {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// Both clocks, read together at the start of a turn and passed down from there.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Real time: stamps only.
    pub unix: UnixNanos,
    /// Monotonic time: deadlines, pacing, timeouts.
    pub mono: Instant,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self { unix: unix_now(), mono: Instant::now() }
    }
}

/// Maps monotonic time onto the UNIX scale as it stood at the start, so that a step of the
/// real-time clock moves no schedule: pacing follows this, stamps follow [`unix_now`].
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    unix: UnixNanos,
    mono: Instant,
}

impl Timeline {
    /// Anchors the timeline at `now`.
    pub fn new(now: Now) -> Self {
        Self { unix: now.unix, mono: now.mono }
    }

    /// `at` on the UNIX scale, ns.
    pub fn unix_at(&self, at: Instant) -> UnixNanos {
        self.unix + at.saturating_duration_since(self.mono).as_nanos() as u64
    }

    /// The monotonic instant that stands for `unix` ns.
    pub fn instant_at(&self, unix: UnixNanos) -> Instant {
        self.mono + Duration::from_nanos(unix.saturating_sub(self.unix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_runs_with_the_monotonic_clock() {
        let now = Now::read();
        let line = Timeline::new(now);
        let later = now.mono + Duration::from_micros(1500);
        assert_eq!(line.unix_at(later), now.unix + 1_500_000);
        assert_eq!(line.instant_at(now.unix + 1_500_000), later);
    }
}
