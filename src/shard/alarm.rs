//! An alarm clock for a poller, which by itself counts milliseconds.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Ends a poller's wait after a time, to the microsecond.
pub(super) struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that a poller sees under this token.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self(fd))
    }

    /// Rings once, after this time; what was set before is forgotten.
    pub(super) fn set(&self, after: Duration) {
        // 0 would turn it off.
        let after = after.max(Duration::from_nanos(1));
        let it_value =
            Timespec { tv_sec: after.as_secs() as i64, tv_nsec: after.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        // It fails for times out of range only, and then the poller's own milliseconds do.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mio::{Events, Poll};

    use super::*;

    #[test]
    fn it_rings_each_time_it_was_set_and_not_early() {
        let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(4));
        let alarm = Alarm::new(poll.registry(), Token(7)).unwrap();
        for micros in [300, 100, 2_000] {
            let (began, time) = (Instant::now(), Duration::from_micros(micros));
            alarm.set(time);
            while events.is_empty() {
                poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
            }
            assert!(began.elapsed() >= time && events.iter().all(|e| e.token() == Token(7)));
            events.clear();
        }
    }
}
