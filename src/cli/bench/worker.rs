//! One thread of the bench: its subscribers on a runtime of their own, and its clock.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::collector::{Collector, Window};
use super::interval::Interval;
use super::ledger::Checks;
use super::machine::{Share, Stopwatch};
use super::subscriber::{self, Gone, Shared, Task};
use crate::clock::unix_now;

/// Handshakes under way at once, of one thread.
const DIALING: usize = 64;

/// How far the run is: all threads follow it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Everybody connects and waits.
    Connect,
    /// Everybody subscribes.
    Subscribe,
    /// What is received within the window counts.
    Measure(Window),
    /// Everybody has the counts compared and leaves.
    Finish,
}

/// What threads tell the coordinator.
#[derive(Debug)]
pub(crate) enum Event {
    /// A subscriber was welcomed.
    Connected,
    /// A subscriber's requests were granted, but for these symbols.
    Subscribed { rejected: Vec<String> },
    /// A thread's measurements of one second.
    Interval(Box<Interval>),
    /// A thread's window is over; what became of the thread's time in it.
    Measured(Share),
    /// A subscriber is gone.
    Gone { gone: Gone, checks: Box<Checks> },
}

/// What one thread needs.
pub(crate) struct Job {
    /// The numbers of its connections.
    pub(crate) connections: Range<usize>,
    pub(crate) task: Arc<Task>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) events: Sender<Event>,
    /// An empty one.
    pub(crate) interval: Interval,
}

/// Runs a thread's subscribers until all are gone.
///
/// # Errors
/// Where the system grants no event loop.
pub(crate) fn run(job: Job) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work(job));
    Ok(())
}

async fn work(job: Job) {
    let shared = Rc::new(Shared {
        task: job.task,
        buffer: Default::default(),
        collector: RefCell::new(Collector::new(job.interval, job.events.clone())),
        dialing: Semaphore::new(DIALING),
        events: job.events,
    });
    let mut tasks = tokio::task::JoinSet::new();
    for number in job.connections {
        tasks.spawn_local(subscriber::run(number, shared.clone(), job.phase.clone()));
    }
    tasks.spawn_local(keep_time(shared, job.phase));
    while tasks.join_next().await.is_some() {}
}

/// Opens the window, and closes each of its seconds even where nothing is received.
async fn keep_time(shared: Rc<Shared>, mut phase: watch::Receiver<Phase>) {
    let measure = phase.wait_for(|phase| matches!(phase, Phase::Measure(_) | Phase::Finish)).await;
    let Some(Phase::Measure(window)) = measure.ok().map(|phase| *phase) else { return };
    shared.collector.borrow_mut().open(window);
    sleep_until(window.start).await;
    let watch = Stopwatch::start();
    for index in 0..window.intervals() {
        sleep_until(window.end_of(index)).await;
        shared.collector.borrow_mut().turn(unix_now());
    }
    let _ = shared.events.send(Event::Measured(watch.share()));
}

/// Timers have milliseconds: it comes back a little late, never early.
async fn sleep_until(unix: u64) {
    loop {
        let left = unix.saturating_sub(unix_now());
        if left == 0 {
            return;
        }
        sleep(Duration::from_nanos(left)).await;
    }
}
