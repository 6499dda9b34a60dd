//! The work's clock: ticks of a millisecond on an absolute schedule, each with what the rate makes
//! due. Late, it brings every tick that was missed, with the time at which it was meant.

use std::num::NonZeroU64;
use std::time::Duration;

use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds of a tick.
pub const TICK: u64 = 1_000_000;
/// Ticks of a second.
const TICKS_PER_SECOND: u64 = 1_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How the time between two ticks is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// Asleep: what waking costs counts.
    Sleep,
    /// Reading the clock: never late, a whole core.
    Spin,
}

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it was meant to be, ns since the UNIX epoch.
    pub at: u64,
    /// Records that become due with it.
    pub records: u64,
}

/// Nanoseconds since the UNIX epoch.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec as u64 * NANOS_PER_SECOND + time.tv_nsec as u64
}

/// Ticks at a rate of records a second.
pub struct Metronome {
    rate: u64,
    wait: Wait,
    /// The tick that comes next.
    next: u64,
    /// Thousandths of a record that ticks so far have left over.
    carry: u64,
}

impl Metronome {
    /// The first tick is a tick after `now`.
    pub fn new(rate: u64, wait: Wait, now: u64) -> Self {
        // By default a sleep may end 50 µs late, in favour of batteries.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        Self { rate, wait, next: now + TICK, carry: 0 }
    }

    /// Waits for the next tick, or for a signal.
    pub fn wait(&self) {
        match self.wait {
            Wait::Spin => {
                while now() < self.next {
                    std::hint::spin_loop();
                }
            }
            Wait::Sleep => {
                let at = Duration::from_nanos(self.next);
                let at =
                    Timespec { tv_sec: at.as_secs() as i64, tv_nsec: at.subsec_nanos().into() };
                // Interrupted, it returns early: who waits has something else to look at then.
                let _ = clock_nanosleep_absolute(ClockId::Realtime, &at);
            }
        }
    }

    /// The next tick that is due at `now`.
    pub fn due(&mut self, now: u64) -> Option<Tick> {
        if now < self.next {
            return None;
        }
        let due = self.carry + self.rate;
        self.carry = due % TICKS_PER_SECOND;
        let tick = Tick { at: self.next, records: due / TICKS_PER_SECOND };
        self.next += TICK;
        Some(tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tick_brings_what_is_due_by_then() {
        let mut metronome = Metronome::new(2_500, Wait::Sleep, 5);
        assert_eq!(metronome.due(4 + TICK), None);
        assert_eq!(metronome.due(5 + TICK), Some(Tick { at: 5 + TICK, records: 2 }));
        assert_eq!(metronome.due(5 + TICK), None);
        assert_eq!(metronome.due(5 + 2 * TICK), Some(Tick { at: 5 + 2 * TICK, records: 3 }));
    }

    #[test]
    fn late_it_brings_every_tick_that_was_missed_with_its_own_time() {
        let mut metronome = Metronome::new(10, Wait::Sleep, 0);
        let ticks: Vec<_> = std::iter::from_fn(|| metronome.due(1_000 * TICK)).collect();
        assert_eq!(ticks.len(), 1_000);
        let full: Vec<_> = ticks.iter().filter(|t| t.records > 0).map(|t| t.at / TICK).collect();
        assert_eq!(full, (1..=10).map(|n| n * 100).collect::<Vec<_>>());
    }

    #[test]
    fn both_ways_of_waiting_end_at_the_tick_and_not_before() {
        for wait in [Wait::Sleep, Wait::Spin] {
            let mut metronome = Metronome::new(1_000, wait, now());
            metronome.wait();
            assert!(metronome.due(now()).is_some(), "{wait:?}");
        }
    }
}
