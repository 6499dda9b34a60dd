//! The loop around [`Shard::turn`]: what a shard does when there is nothing to do.
//!
//! It gives its core away a few times, for what comes at once; then it parks: the ring's writer
//! sees that, and wakes it. With a flush interval there is no use in being woken before its end.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Poll, Token, Waker};

use crate::clock::Now;
use crate::limits::YIELDS;
use crate::ring::Wake;
use crate::shard::Shard;
use crate::shard::alarm::Alarm;
use crate::socket::write::Engine;

/// The token of the waker among the connections'.
pub(super) const WAKER: Token = Token(usize::MAX);
/// That of the alarm.
pub(super) const ALARM: Token = Token(usize::MAX - 1);

const MILLISECOND: Duration = Duration::from_millis(1);

/// Wakes a shard's poller.
struct PollWaker(Waker);

impl Wake for PollWaker {
    fn wake(&self) {
        // It fails only where the poller is gone, and then nobody waits there.
        let _ = self.0.wake();
    }
}

/// A poller and what wakes it.
///
/// # Errors
/// The system is out of descriptors.
pub fn poller() -> io::Result<(Poll, Arc<dyn Wake>)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    Ok((poll, Arc::new(PollWaker(waker))))
}

impl<E: Engine> Shard<E> {
    /// Turns until it is told to stop.
    pub fn run(&mut self) {
        while !self.stopping {
            let now = Now::read();
            if self.turn(now) == 0 && !self.has_work() && !self.busy {
                self.wait(now);
            }
        }
    }

    /// Did a turn leave something for the next one?
    fn has_work(&self) -> bool {
        !self.hot.is_empty() || !self.readable.is_empty()
    }

    fn has_news(&self) -> bool {
        self.reader.has_news() || !self.mailbox.is_empty()
    }

    /// Waits until something is to be done, or due.
    fn wait(&mut self, now: Now) {
        if self.flush_interval.is_some() && self.next_drain > now.mono {
            return self.pause();
        }
        for _ in 0..YIELDS {
            if self.has_news() {
                return;
            }
            thread::yield_now();
        }
        let waits = self.ring.waits().clone();
        if let Some(parked) = waits.park(self.id, || self.has_news()) {
            let left = self.deadline(now).saturating_duration_since(Instant::now());
            self.set_alarm();
            self.sleep(left.max(MILLISECOND));
            drop(parked);
        }
    }

    /// A record of a replay is due to the microsecond.
    fn set_alarm(&mut self) {
        if let (Some(due), Some(alarm)) = (self.next_replay_due(), &self.alarm) {
            alarm.set(due.saturating_duration_since(Instant::now()));
        }
    }

    /// Has an alarm from now on.
    pub(super) fn make_alarm(&mut self) {
        if self.alarm.is_none() {
            match Alarm::new(self.poll.registry(), ALARM) {
                Ok(alarm) => self.alarm = Some(alarm),
                Err(error) => {
                    tracing::warn!(%error, "no alarm clock: replays keep time to a millisecond");
                }
            }
        }
    }

    /// Sleeps until the ring is due again. The poller counts milliseconds; the last part of one is
    /// slept without it.
    fn pause(&mut self) {
        let left = self.next_drain.saturating_duration_since(Instant::now());
        match left < MILLISECOND {
            true => thread::sleep(left),
            false => self.sleep(Duration::from_millis(left.as_millis() as u64)),
        }
    }

    /// Sleeps until there is input, a wake-up, or the time is over.
    fn sleep(&mut self, time: Duration) {
        if self.poll.poll(&mut self.events, Some(time)).is_ok() {
            self.note_readiness();
        }
    }
}
