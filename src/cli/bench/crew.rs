//! The threads of a run, led through its phases: connect, subscribe, measure, finish.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::BenchError;
use super::collector::Window;
use super::hdr::{Log, LogFile};
use super::interval::Interval;
use super::ledger::Checks;
use super::machine::Share;
use super::progress::Progress;
use super::subscriber::{Gone, Task};
use super::worker::{self, Event, Job, Phase};
use crate::clock::unix_now;

/// What the subscribers found together.
pub(crate) struct Findings {
    pub(crate) total: Interval,
    pub(crate) checks: Checks,
    pub(crate) disconnects: BTreeMap<String, u64>,
    pub(crate) rejected: BTreeSet<String>,
    pub(crate) client: Vec<Share>,
}

/// The threads, and what they told so far.
pub(crate) struct Crew<'a> {
    threads: Vec<JoinHandle<io::Result<()>>>,
    phase: watch::Sender<Phase>,
    events: Receiver<Event>,
    progress: &'a Progress,
    connections: usize,
    open: usize,
    /// Seconds that not all threads have handed on yet, with the number of those that have.
    partial: BTreeMap<usize, (Interval, usize)>,
    findings: Findings,
}

impl<'a> Crew<'a> {
    /// Starts `threads` threads that share `connections` among themselves.
    ///
    /// # Errors
    /// [`BenchError::Thread`].
    pub(crate) fn start(
        connections: usize,
        threads: usize,
        task: &Arc<Task>,
        progress: &'a Progress,
    ) -> Result<Self, BenchError> {
        let (phase, follow) = watch::channel(Phase::Connect);
        let (tell, events) = mpsc::channel();
        let empty = Interval::new().map_err(|error| BenchError::Thread(error.to_string()))?;
        let spawn = |thread: usize| {
            let job = Job {
                connections: connections * thread / threads..connections * (thread + 1) / threads,
                task: task.clone(),
                phase: follow.clone(),
                events: tell.clone(),
                interval: empty.clone(),
            };
            let named = thread::Builder::new().name(format!("bench-{thread}"));
            named.spawn(move || worker::run(job))
        };
        let threads: io::Result<Vec<_>> = (0..threads).map(spawn).collect();
        let threads = threads.map_err(|error| BenchError::Thread(error.to_string()))?;
        let findings = Findings {
            total: empty,
            checks: Checks::default(),
            disconnects: BTreeMap::new(),
            rejected: BTreeSet::new(),
            client: Vec::new(),
        };
        let (open, partial) = (connections, BTreeMap::new());
        Ok(Self { threads, phase, events, progress, connections, open, partial, findings })
    }

    /// Waits until all are connected.
    ///
    /// # Errors
    /// [`BenchError::Failed`] with the first that is not.
    pub(crate) fn connect(&mut self) -> Result<(), BenchError> {
        self.all("connected", |_, event| matches!(event, Event::Connected))
    }

    /// Has all of them subscribe.
    ///
    /// # Errors
    /// [`BenchError::Failed`] with the first that is refused.
    pub(crate) fn subscribe(&mut self) -> Result<(), BenchError> {
        self.phase.send_replace(Phase::Subscribe);
        self.all("subscribed", |findings, event| match event {
            Event::Subscribed { rejected } => {
                findings.rejected.extend(rejected);
                true
            }
            _ => false,
        })
    }

    fn all(
        &mut self,
        what: &'static str,
        mut is_done: impl FnMut(&mut Findings, Event) -> bool,
    ) -> Result<(), BenchError> {
        let began = Instant::now();
        self.progress.begin(what, self.connections);
        let mut done = 0;
        while done < self.connections {
            let event = self.next()?;
            if let Event::Gone { gone: Gone::Failed(reason) | Gone::Lost(reason), .. } = event {
                let of = self.connections;
                return Err(BenchError::Failed { what, done, of, reason });
            }
            if is_done(&mut self.findings, event) {
                done += 1;
                self.progress.step();
            }
        }
        let text = format!("{what} {done} of {}", self.connections);
        self.progress.end(&text, began.elapsed());
        Ok(())
    }

    /// Warms up, then measures; returns when the window began, ns.
    ///
    /// # Errors
    /// [`BenchError::AllLost`] where no connection is left before the window ends.
    pub(crate) fn measure(
        &mut self,
        warmup: Duration,
        duration: Duration,
        mut hdr: Option<&mut LogFile>,
    ) -> Result<u64, BenchError> {
        let start = unix_now() + warmup.as_nanos() as u64;
        let window = Window { start, end: start + duration.as_nanos() as u64 };
        self.progress.begin("measuring", window.intervals());
        self.phase.send_replace(Phase::Measure(window));
        let mut log = hdr.as_mut().map(|file| file.begin(window)).transpose()?;
        while self.findings.client.len() < self.threads.len() {
            match self.next()? {
                Event::Interval(interval) => self.interval(*interval, log.as_mut())?,
                Event::Measured(share) => self.findings.client.push(share),
                Event::Gone { gone, checks } => {
                    self.gone(gone, &checks);
                    if self.open == 0 {
                        let reasons = std::mem::take(&mut self.findings.disconnects);
                        return Err(BenchError::AllLost { reasons });
                    }
                }
                Event::Connected | Event::Subscribed { .. } => {}
            }
        }
        Ok(start)
    }

    /// Adds a thread's second; the last thread's completes it.
    fn interval(&mut self, interval: Interval, log: Option<&mut Log<'_>>) -> io::Result<()> {
        let index = interval.index;
        let (mut sum, threads) = match self.partial.remove(&index) {
            Some((mut sum, threads)) => {
                sum += &interval;
                (sum, threads + 1)
            }
            None => (interval, 1),
        };
        if threads < self.threads.len() {
            self.partial.insert(index, (sum, threads));
            return Ok(());
        }
        sum.index = index;
        self.progress.measured(&sum);
        self.findings.total += &sum;
        log.map_or(Ok(()), |log| log.write(&sum))
    }

    /// Has the last counts compared and everybody leave.
    ///
    /// # Errors
    /// [`BenchError::Thread`] where a thread did not come to its end.
    pub(crate) fn finish(mut self) -> Result<Findings, BenchError> {
        self.phase.send_replace(Phase::Finish);
        while self.open > 0 {
            if let Event::Gone { gone, checks } = self.next()? {
                self.gone(gone, &checks);
            }
        }
        for thread in self.threads {
            let ended = thread.join().map_err(|_| BenchError::Thread("it panicked".to_owned()))?;
            ended.map_err(|error| BenchError::Thread(error.to_string()))?;
        }
        Ok(self.findings)
    }

    fn gone(&mut self, gone: Gone, checks: &Checks) {
        self.open -= 1;
        self.findings.checks += checks;
        if let Gone::Failed(reason) | Gone::Lost(reason) = gone {
            *self.findings.disconnects.entry(reason).or_default() += 1;
        }
    }

    fn next(&self) -> Result<Event, BenchError> {
        let ended = |_| BenchError::Thread("all threads ended early".to_owned());
        self.events.recv().map_err(ended)
    }
}
