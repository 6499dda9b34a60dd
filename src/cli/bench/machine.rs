//! What the bench asks of the operating system: descriptors, its own share of a core, and what
//! machine it runs on.

use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Descriptors that the process needs beside its connections.
const RESERVE: u64 = 64;

/// More connections than the system lets a process have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{connections} connections need {needed} descriptors, but the hard limit is {limit}: raise it \
     (as root `ulimit -Hn {needed}`, or LimitNOFILE of the service), ask for at most {most} \
     connections, or run several of these"
)]
pub(crate) struct TooManyConnections {
    connections: usize,
    needed: u64,
    limit: u64,
    most: u64,
}

/// Raises the limit of open descriptors as far as the connections need it, and `others` beside
/// them.
///
/// # Errors
/// [`TooManyConnections`] where the hard limit is below that.
pub(crate) fn reserve_descriptors(
    connections: usize,
    others: usize,
) -> Result<(), TooManyConnections> {
    let needed = connections as u64 + others as u64 + RESERVE;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let too_many = |limit: u64| {
        let most = limit.saturating_sub(needed - connections as u64);
        TooManyConnections { connections, needed, limit, most }
    };
    if let Some(hard) = limit.maximum
        && hard < needed
    {
        return Err(too_many(hard));
    }
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit).map_err(|_| too_many(limit.maximum.unwrap_or(u64::MAX)))
}

/// What became of a thread's time, each a part of it (0 to 1).
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Share {
    /// It was running, and had something to do.
    pub(crate) busy: f64,
    /// It was ready to run, and others had the core; 0 where the system does not tell.
    pub(crate) waiting: f64,
}

/// The calling thread's time from here on.
pub(crate) struct Stopwatch {
    began: Instant,
    ran: Duration,
    waited: Duration,
    /// Of the time that it ran, looking for input that was not there.
    idle: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            ran: thread_ran(),
            waited: thread_waited(),
            idle: Duration::ZERO,
        }
    }

    /// It ran for so long without anything to do.
    pub(crate) fn idled(&mut self, time: Duration) {
        self.idle += time;
    }

    /// What became of the time since the start.
    pub(crate) fn share(&self) -> Share {
        let all = self.began.elapsed().as_secs_f64();
        let part = |now: Duration, then| now.saturating_sub(then).as_secs_f64() / all;
        Share {
            busy: part(thread_ran(), self.ran + self.idle),
            waiting: part(thread_waited(), self.waited),
        }
    }
}

fn thread_ran() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Linux counts it, as the second number of this file, ns.
fn thread_waited() -> Duration {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = counts.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}

/// What ran the client.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Host {
    pub(crate) cpu: String,
    /// Cores of the machine that are online.
    pub(crate) cores: usize,
    /// Cores that this process may run on.
    pub(crate) allowed: String,
    pub(crate) kernel: String,
    /// Work that waited or ran, averaged over the minute before.
    pub(crate) load: String,
}

impl Host {
    /// This machine; what it does not tell stays empty.
    pub(crate) fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let behind = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim_start_matches([':', ' ', '\t']).to_owned()
        };
        let cpus = read("/proc/cpuinfo");
        Self {
            cpu: behind(&cpus, "model name"),
            cores: cpus.lines().filter(|line| line.starts_with("processor")).count(),
            allowed: behind(&read("/proc/self/status"), "Cpus_allowed_list"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named() {
        let error = reserve_descriptors(usize::MAX >> 8, 10);
        assert!(error.is_ok() || error.unwrap_err().to_string().contains("hard limit"));
    }

    #[test]
    fn a_threads_time_runs_while_it_works() {
        let watch = Stopwatch::start();
        while thread_ran() == watch.ran {
            std::hint::spin_loop();
        }
        let share = watch.share();
        assert!(share.busy > 0.0 && share.busy <= 1.0 && share.waiting >= 0.0, "{share:?}");
    }
}
