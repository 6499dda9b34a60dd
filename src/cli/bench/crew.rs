//! The threads of a run, led through its phases: connect, subscribe, measure, finish.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Poll, Waker};

use super::BenchError;
use super::collector::Window;
use super::dialogue::checks::{Books, Checks};
use super::findings::{Findings, Lagging, Second};
use super::hdr::{Log, LogFile};
use super::interval::{Interval, latencies};
use super::process::Probe;
use super::progress::Progress;
use super::task::{Role, Task};
use super::worker::{self, Event, Gone, Job, Phase, Visits};
use crate::clock::unix_now;

/// How often it is looked whether all threads are still there.
const LOOK: Duration = Duration::from_secs(1);

struct Member {
    thread: JoinHandle<io::Result<()>>,
    orders: Sender<Phase>,
    waker: Waker,
}

/// The threads, and what they told so far.
pub(crate) struct Crew<'a> {
    members: Vec<Member>,
    events: Receiver<Event>,
    progress: &'a Progress,
    task: Arc<Task>,
    /// Those that are measured and still there.
    open: usize,
    /// All that are still there.
    there: usize,
    ended: usize,
    /// Seconds that not all threads have handed on yet, with the number of those that have.
    partial: BTreeMap<usize, (Interval, usize)>,
    findings: Findings,
}

impl<'a> Crew<'a> {
    /// Starts the threads, which begin to connect.
    ///
    /// # Errors
    /// [`BenchError::Thread`].
    pub(crate) fn start(task: &Arc<Task>, progress: &'a Progress) -> Result<Self, BenchError> {
        let failed = |error: &dyn std::fmt::Display| BenchError::Thread(error.to_string());
        let (tell, events) = mpsc::channel();
        let empty = Interval::new().map_err(|error| failed(&error))?;
        let visits = Visits::new().map_err(|error| failed(&error))?;
        let connects = latencies().map_err(|error| failed(&error))?;
        let spawn = |thread: usize| -> io::Result<Member> {
            let poll = Poll::new()?;
            let waker = worker::waker(&poll)?;
            let (orders, follow) = mpsc::channel();
            let (task, interval, visits) = (task.clone(), empty.clone(), visits.clone());
            let events = tell.clone();
            let job = Job { thread, task, poll, orders: follow, events, interval, visits };
            let named = thread::Builder::new().name(format!("bench-{thread}"));
            Ok(Member { thread: named.spawn(move || worker::run(job))?, orders, waker })
        };
        let members: io::Result<Vec<_>> = (0..task.threads).map(spawn).collect();
        let findings = Findings {
            start: 0,
            total: empty.clone(),
            seconds: Vec::new(),
            books: Books::default(),
            disconnects: BTreeMap::new(),
            rejected: BTreeSet::new(),
            client: Vec::new(),
            connects,
            lagging: Lagging::default(),
            visits: visits.clone(),
        };
        Ok(Self {
            members: members.map_err(|error| failed(&error))?,
            events,
            progress,
            open: task.population.measured,
            there: task.population.all(),
            task: task.clone(),
            ended: 0,
            partial: BTreeMap::new(),
            findings,
        })
    }

    /// Waits until all are connected.
    ///
    /// # Errors
    /// [`BenchError::Failed`] with the first that is not.
    pub(crate) fn connect(&mut self) -> Result<(), BenchError> {
        self.all("connected", |findings, event| match event {
            Event::Connected { after } => {
                findings.connects.saturating_record(after.as_nanos().max(1) as u64);
                true
            }
            _ => false,
        })
    }

    /// Has all of them subscribe.
    ///
    /// # Errors
    /// [`BenchError::Failed`] with the first that is refused.
    pub(crate) fn subscribe(&mut self) -> Result<(), BenchError> {
        self.order(Phase::Subscribe)?;
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
        let all = self.task.population.all();
        self.progress.begin(what, all);
        let mut done = 0;
        while done < all {
            let event = self.next()?;
            if let Event::Gone { gone: Gone::Failed(reason) | Gone::Lost(reason), .. } = event {
                return Err(BenchError::Failed { what, done, of: all, reason });
            }
            if is_done(&mut self.findings, event) {
                done += 1;
                self.progress.step(what, done, all);
            }
        }
        self.progress.end(&format!("{what} {done} of {all}"), began.elapsed());
        Ok(())
    }

    /// Warms up, then measures.
    ///
    /// # Errors
    /// [`BenchError::AllLost`] where no connection is left before the window ends.
    pub(crate) fn measure(
        &mut self,
        warmup: Duration,
        duration: Duration,
        mut hdr: Option<&mut LogFile>,
        mut probe: Option<&mut Probe>,
    ) -> Result<(), BenchError> {
        let start = unix_now() + warmup.as_nanos() as u64;
        let window = Window { start, end: start + duration.as_nanos() as u64 };
        self.findings.start = start;
        self.progress.begin("measuring", window.intervals());
        self.order(Phase::Measure(window))?;
        let mut log = hdr.as_mut().map(|file| file.begin(window)).transpose()?;
        self.receive(log.as_mut(), probe.as_deref_mut(), Until::Time(window.start))?;
        probe.as_mut().map_or(Ok(()), |probe| probe.begin())?;
        self.receive(log.as_mut(), probe.as_deref_mut(), Until::Time(window.end))?;
        probe.as_mut().map_or(Ok(()), |probe| probe.end(duration))?;
        self.receive(log.as_mut(), None, Until::Measured)
    }

    fn receive(
        &mut self,
        mut log: Option<&mut Log<'_>>,
        mut probe: Option<&mut Probe>,
        until: Until,
    ) -> Result<(), BenchError> {
        while let Some(left) = self.left(until) {
            let Some(event) = self.wait(left)? else { continue };
            match event {
                Event::Interval(interval) => {
                    self.interval(*interval, log.as_deref_mut())?;
                    probe.as_mut().map_or(Ok(0), |probe| probe.look())?;
                }
                Event::Measured(share) => self.findings.client.push(share),
                Event::Gone { role, gone, checks } => {
                    self.gone(role, gone, &checks);
                    if self.open == 0 {
                        let reasons = std::mem::take(&mut self.findings.disconnects);
                        return Err(BenchError::AllLost { reasons });
                    }
                }
                Event::Ended(_) => return Err(ended_early()),
                Event::Connected { .. } | Event::Subscribed { .. } => {}
            }
        }
        Ok(())
    }

    /// How long events are still to be waited for; none where no longer.
    fn left(&self, until: Until) -> Option<Duration> {
        let left = match until {
            Until::Time(time) => Duration::from_nanos(time.saturating_sub(unix_now())),
            Until::Measured if self.findings.client.len() < self.members.len() => Duration::MAX,
            Until::Measured => Duration::ZERO,
        };
        (!left.is_zero()).then_some(left)
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
        if threads < self.members.len() {
            self.partial.insert(index, (sum, threads));
            return Ok(());
        }
        sum.index = index;
        self.progress.measured(&sum);
        self.findings.total += &sum;
        self.findings.seconds.push(Second::of(&sum));
        log.map_or(Ok(()), |log| log.write(&sum))
    }

    /// Has the last counts compared and everybody leave.
    ///
    /// # Errors
    /// [`BenchError::Thread`] where a thread did not come to its end.
    pub(crate) fn finish(mut self) -> Result<Findings, BenchError> {
        self.order(Phase::Finish)?;
        while self.there > 0 || self.ended < self.members.len() {
            match self.next()? {
                Event::Gone { role, gone, checks } => self.gone(role, gone, &checks),
                Event::Ended(visits) => {
                    self.findings.visits += &visits;
                    self.ended += 1;
                }
                _ => {}
            }
        }
        for Member { thread, .. } in self.members {
            let ended = thread.join().map_err(|_| BenchError::Thread("it panicked".to_owned()))?;
            ended.map_err(|error| BenchError::Thread(error.to_string()))?;
        }
        Ok(self.findings)
    }

    fn gone(&mut self, role: Role, gone: Gone, checks: &Checks) {
        self.there -= 1;
        let ended = match role {
            Role::Stalled | Role::Slow => {
                let lagging = &mut self.findings.lagging;
                lagging.checks += checks;
                lagging.stayed += u64::from(matches!(gone, Gone::Left));
                &mut lagging.ended
            }
            Role::Measured | Role::Visitor => {
                self.open -= 1;
                self.findings.books += checks;
                &mut self.findings.disconnects
            }
        };
        if let Gone::Failed(reason) | Gone::Lost(reason) = gone {
            *ended.entry(reason).or_default() += 1;
        }
    }

    fn order(&self, phase: Phase) -> Result<(), BenchError> {
        for Member { orders, waker, .. } in &self.members {
            // A thread that is gone already says why when it is joined.
            let _ = orders.send(phase);
            waker.wake().map_err(|error| BenchError::Thread(error.to_string()))?;
        }
        Ok(())
    }

    fn next(&self) -> Result<Event, BenchError> {
        loop {
            if let Some(event) = self.wait(Duration::MAX)? {
                return Ok(event);
            }
        }
    }

    /// The next event, where one comes in time; that of a thread that is gone never does.
    fn wait(&self, limit: Duration) -> Result<Option<Event>, BenchError> {
        match self.events.recv_timeout(limit.min(LOOK)) {
            Ok(event) => return Ok(Some(event)),
            Err(RecvTimeoutError::Disconnected) => return Err(ended_early()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let gone = self.members.iter().filter(|member| member.thread.is_finished()).count();
        match self.events.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(_) if gone > self.ended => Err(ended_early()),
            Err(_) => Ok(None),
        }
    }
}

/// What is received until.
#[derive(Clone, Copy)]
enum Until {
    /// This time, ns.
    Time(u64),
    /// All threads have told how they spent the window.
    Measured,
}

fn ended_early() -> BenchError {
    BenchError::Thread("it ended early".to_owned())
}
