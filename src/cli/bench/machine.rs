//! What the bench asks of the operating system: descriptors, and its own share of a core.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Descriptors that the process needs beside its connections.
const RESERVE: u64 = 64;

/// More connections than the system lets a process have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{connections} connections need {needed} descriptors, but the hard limit is {limit}; \
     raise it (ulimit -Hn) or ask for fewer"
)]
pub(crate) struct TooManyConnections {
    connections: usize,
    needed: u64,
    limit: u64,
}

/// Raises the limit of open descriptors as far as the connections need it.
///
/// # Errors
/// [`TooManyConnections`] where the hard limit is below that.
pub(crate) fn reserve_descriptors(connections: usize) -> Result<(), TooManyConnections> {
    let needed = connections as u64 + RESERVE;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(hard) = limit.maximum
        && hard < needed
    {
        return Err(TooManyConnections { connections, needed, limit: hard });
    }
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit).map_err(|_| TooManyConnections {
        connections,
        needed,
        limit: limit.maximum.unwrap_or(u64::MAX),
    })
}

/// Time that the calling thread was running.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named() {
        let error = reserve_descriptors(usize::MAX >> 8);
        assert!(error.is_ok() || error.unwrap_err().to_string().contains("hard limit"));
    }

    #[test]
    fn a_threads_time_runs_while_it_works() {
        let before = thread_cpu();
        while thread_cpu() == before {
            std::hint::spin_loop();
        }
        assert!(thread_cpu() > before);
    }
}
