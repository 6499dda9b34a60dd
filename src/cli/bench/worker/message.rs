//! What the coordinator tells a thread, and what a thread tells it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use mio::Poll;

use super::Visits;
use crate::cli::bench::collector::Window;
use crate::cli::bench::dialogue::checks::Checks;
use crate::cli::bench::interval::Interval;
use crate::cli::bench::machine::Share;
use crate::cli::bench::task::{Role, Task};

/// How far the run is: all threads follow it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Everybody subscribes.
    Subscribe,
    /// What is received within the window counts.
    Measure(Window),
    /// Everybody has the counts compared and leaves.
    Finish,
}

/// Why a connection is gone.
#[derive(Debug)]
pub(crate) enum Gone {
    /// It was told to leave.
    Left,
    /// It never got as far as subscribing.
    Failed(String),
    /// It was subscribed, and lost its connection.
    Lost(String),
}

/// What threads tell the coordinator.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection is ready to subscribe, so long after it was to be opened.
    Connected { after: Duration },
    /// A connection's requests were granted, but for these symbols.
    Subscribed { rejected: Vec<String> },
    /// A thread's measurements of one second.
    Interval(Box<Interval>),
    /// A thread's window is over; what became of the thread's time in it.
    Measured(Share),
    /// A connection is gone.
    Gone { role: Role, gone: Gone, checks: Box<Checks> },
    /// A thread is at its end; what became of its visitors.
    Ended(Box<Visits>),
}

/// What one thread needs.
pub(crate) struct Job {
    /// Which of the threads it is: their connections alternate.
    pub(crate) thread: usize,
    pub(crate) task: Arc<Task>,
    pub(crate) poll: Poll,
    pub(crate) orders: Receiver<Phase>,
    pub(crate) events: Sender<Event>,
    /// An empty one.
    pub(crate) interval: Interval,
    pub(crate) visits: Visits,
}
