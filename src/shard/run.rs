//! The loop around [`Shard::turn`]: what a shard does when there is nothing to do.
//!
//! It gives its core away a few times, for what comes at once; then it parks: the ring's writer
//! sees that, and wakes it. Where that has been in vain it parks at once, until a sleep turns out
//! to have been short. With a flush interval there is no use in being woken before its end.
//!
//! At a tick a millisecond that is one system call a tick besides the writes, as in
//! `tools/floor`: the sleep says what came to the sockets, so the turn after it does not ask again,
//! and a turn that left nothing to do is followed by no empty one.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Poll, Token, Waker};

use crate::clock::Now;
use crate::limits::{SHORT_SLEEP, YIELDS};
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

/// How a shard rests.
pub(super) struct Rest {
    /// Times that it gives its core away before it parks.
    yields: usize,
    /// When it parked, until the turn after.
    parked: Option<Instant>,
    /// The poller has been asked since the last turn.
    pub(super) polled: bool,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self { yields: YIELDS, parked: None, polled: false }
    }

    /// A sleep is over: a short one would have been better spent awake.
    fn woke(&mut self, now: Instant) {
        if let Some(parked) = self.parked.take()
            && now.saturating_duration_since(parked) < SHORT_SLEEP
        {
            self.yields = YIELDS;
        }
    }
}

impl<E: Engine> Shard<E> {
    /// Turns until it is told to stop; then it cuts off whoever is left.
    pub fn run(&mut self) {
        while !self.stopping {
            let now = Now::read();
            self.rest.woke(now.mono);
            let idle = self.turn(now) == 0 || self.is_done();
            if idle && !self.has_work() && !self.busy {
                self.wait(now);
            }
        }
        self.close_down();
    }

    /// Did a turn leave something for the next one?
    fn has_work(&mut self) -> bool {
        !(self.hot.is_empty() && self.readable.is_empty() && self.audiences.due().is_empty())
    }

    /// Would another turn find nothing, as far as one can tell without asking the poller?
    fn is_done(&self) -> bool {
        let one_by_one = [&self.joining, &self.replaying, &self.behind];
        one_by_one.iter().all(|tokens| tokens.is_empty()) && !self.has_news()
    }

    fn has_news(&self) -> bool {
        self.reader.has_news() || !self.mailbox.is_empty()
    }

    /// Waits until something is to be done, or due.
    fn wait(&mut self, now: Now) {
        if self.flush_interval.is_some() && self.next_drain > now.mono {
            return self.pause();
        }
        for _ in 0..self.rest.yields {
            if self.has_news() {
                self.rest.yields = YIELDS;
                return;
            }
            thread::yield_now();
        }
        self.rest.yields /= 2;
        let waits = self.ring.waits().clone();
        if let Some(parked) = waits.park(self.id, || self.has_news()) {
            let began = Instant::now();
            let left = self.deadline(now).saturating_duration_since(began);
            self.rest.parked = Some(began);
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
            self.rest.polled = true;
            self.note_readiness();
        }
    }
}
