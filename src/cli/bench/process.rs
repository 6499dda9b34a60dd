//! `--server-pid`: what the server's processes cost, as Linux counts it.

use std::fs;
use std::io;
use std::time::Duration;

use serde::Serialize;

/// Processes that are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Processes(Vec<u32>);

/// A process that can't be looked at.
#[derive(Debug, thiserror::Error)]
#[error("--server-pid {pid}: {path} can't be read ({reason}); give the id of a running process")]
pub(crate) struct NoProcess {
    pid: u32,
    path: String,
    reason: io::Error,
}

/// Their memory at one time, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The most that has been resident since they were started.
    pub(crate) peak: u64,
}

impl Processes {
    /// Looks whether all of them are there.
    ///
    /// # Errors
    /// [`NoProcess`].
    pub(crate) fn find(pids: &[u32]) -> Result<Self, NoProcess> {
        let found = Self(pids.to_vec());
        pids.iter().try_for_each(|pid| run_time(*pid).map(drop))?;
        found.memory()?;
        Ok(found)
    }

    /// How long all their threads have run since they were started.
    ///
    /// # Errors
    /// [`NoProcess`] where one has ended.
    pub(crate) fn run_time(&self) -> Result<Duration, NoProcess> {
        self.0.iter().map(|pid| run_time(*pid)).sum()
    }

    /// What they hold of the machine's memory.
    ///
    /// # Errors
    /// [`NoProcess`] where one has ended.
    pub(crate) fn memory(&self) -> Result<Memory, NoProcess> {
        let mut sum = Memory::default();
        for pid in &self.0 {
            let status = read(*pid, format!("/proc/{pid}/status"))?;
            sum.resident += field(&status, "VmRSS:");
            sum.peak += field(&status, "VmHWM:");
        }
        Ok(sum)
    }
}

fn read(pid: u32, path: String) -> Result<String, NoProcess> {
    fs::read_to_string(&path).map_err(|reason| NoProcess { pid, path, reason })
}

/// Kilobytes behind a name, in bytes.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// To the nanosecond from the scheduler, where it counts; else in its ticks.
fn run_time(pid: u32) -> Result<Duration, NoProcess> {
    let path = format!("/proc/{pid}/task");
    let threads = match fs::read_dir(&path) {
        Ok(threads) => threads,
        Err(reason) => return Err(NoProcess { pid, path, reason }),
    };
    let mut sum = Duration::ZERO;
    let mut counted = false;
    for thread in threads.flatten() {
        let counts = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let ran = counts.split_whitespace().next().and_then(|ran| ran.parse().ok());
        counted |= ran.is_some_and(|ran| ran > 0);
        sum += Duration::from_nanos(ran.unwrap_or(0));
    }
    if counted {
        return Ok(sum);
    }
    let path = format!("/proc/{pid}/stat");
    Ok(ticks(&read(pid, path)?))
}

/// User and system time of a process's `stat`: the 14th and the 15th word, of which the second, a
/// name in parentheses, may hold blanks.
fn ticks(stat: &str) -> Duration {
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|word| word.parse::<u64>().ok()).sum();
    let second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos((u128::from(ticks) * 1_000_000_000 / u128::from(second)) as u64)
}

/// What the server cost in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cost {
    pub(crate) pids: Vec<u32>,
    /// Run time of all its threads within the window, ns.
    pub(crate) cpu_ns: u64,
    /// The same, of one core: 1 is one core all the time.
    pub(crate) cpu_share: f64,
    /// Run time by delivered record, ns; none where none was delivered.
    pub(crate) cpu_ns_per_record: Option<f64>,
    /// Before the first connection, bytes.
    pub(crate) rss_start: u64,
    /// When all were connected and nobody had subscribed, bytes.
    pub(crate) rss_connected: u64,
    /// What each connection added to it, bytes.
    pub(crate) rss_per_connection: f64,
    /// At the end of the window, bytes.
    pub(crate) rss_end: u64,
    /// The most in the run, as it was seen once a second or as the system noted it, bytes.
    pub(crate) rss_peak: u64,
}

/// Looks at processes again and again in the course of a run.
#[derive(Debug)]
pub(crate) struct Probe {
    processes: Processes,
    ran: Option<Duration>,
    before: Memory,
    cost: Cost,
}

impl Probe {
    /// Before the first connection.
    ///
    /// # Errors
    /// [`NoProcess`].
    pub(crate) fn start(pids: &[u32]) -> Result<Self, NoProcess> {
        let processes = Processes::find(pids)?;
        let before = processes.memory()?;
        let (rss_start, rss_peak) = (before.resident, before.resident);
        let cost = Cost { pids: pids.to_vec(), rss_start, rss_peak, ..Cost::default() };
        Ok(Self { processes, ran: None, before, cost })
    }

    /// All are connected.
    ///
    /// # Errors
    /// [`NoProcess`] where the server has ended.
    pub(crate) fn connected(&mut self, connections: usize) -> Result<(), NoProcess> {
        self.cost.rss_connected = self.look()?;
        let more = self.cost.rss_connected as f64 - self.cost.rss_start as f64;
        self.cost.rss_per_connection = more / connections.max(1) as f64;
        Ok(())
    }

    /// A second has passed: the memory held now.
    ///
    /// # Errors
    /// [`NoProcess`] where the server has ended.
    pub(crate) fn look(&mut self) -> Result<u64, NoProcess> {
        let memory = self.processes.memory()?;
        // A peak that was not there before is of this run.
        let peak = if memory.peak > self.before.peak { memory.peak } else { memory.resident };
        self.cost.rss_peak = self.cost.rss_peak.max(peak);
        Ok(memory.resident)
    }

    /// The window begins.
    ///
    /// # Errors
    /// [`NoProcess`] where the server has ended.
    pub(crate) fn begin(&mut self) -> Result<(), NoProcess> {
        self.ran = Some(self.processes.run_time()?);
        Ok(())
    }

    /// The window of this length ends.
    ///
    /// # Errors
    /// [`NoProcess`] where the server has ended.
    pub(crate) fn end(&mut self, window: Duration) -> Result<(), NoProcess> {
        let ran = self.processes.run_time()?;
        let ran = ran.saturating_sub(self.ran.unwrap_or(ran));
        self.cost.cpu_ns = ran.as_nanos() as u64;
        self.cost.cpu_share = ran.as_secs_f64() / window.as_secs_f64();
        self.cost.rss_end = self.look()?;
        Ok(())
    }

    /// What it cost to deliver so many records.
    pub(crate) fn cost(mut self, records: u64) -> Cost {
        let per_record = self.cost.cpu_ns as f64 / records as f64;
        self.cost.cpu_ns_per_record = (records > 0).then_some(per_record);
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_costs_what_it_runs() {
        let own = [std::process::id()];
        let mut probe = Probe::start(&own).unwrap();
        probe.connected(10).unwrap();
        probe.begin().unwrap();
        let began = run_time(own[0]).unwrap();
        while run_time(own[0]).unwrap() == began {
            std::hint::spin_loop();
        }
        probe.end(Duration::from_secs(1)).unwrap();
        let cost = probe.cost(4);
        assert!(cost.cpu_ns > 0 && cost.cpu_share > 0.0);
        assert_eq!(cost.cpu_ns_per_record, Some(cost.cpu_ns as f64 / 4.0));
        assert!(cost.rss_peak >= cost.rss_end && cost.rss_end > 0);
        assert_eq!(Probe::start(&own).unwrap().cost(0).cpu_ns_per_record, None);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Probe::start(&[u32::MAX]).unwrap_err().to_string();
        assert!(error.contains("--server-pid 4294967295: /proc/4294967295/task"), "{error}");
    }

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 100 50 0 0";
        let second = rustix::param::clock_ticks_per_second();
        assert_eq!(ticks(stat), Duration::from_nanos(150 * 1_000_000_000 / second));
    }
}
