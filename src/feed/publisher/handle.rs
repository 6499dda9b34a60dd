//! The control plane's side of the publisher: what it is told and asked.

use std::thread::Thread;
use std::time::Duration;

use crossbeam::channel::Sender;
use tokio::sync::oneshot;

use super::FeedReport;

/// What the control plane asks of the publisher.
pub(super) enum Command {
    Report(oneshot::Sender<FeedReport>),
    Stop,
}

/// The control plane's side of a publisher.
#[derive(Clone)]
pub struct Handle {
    commands: Sender<Command>,
    thread: Thread,
}

impl Handle {
    /// Of the publisher that takes `commands` on `thread`.
    pub(super) fn new(commands: Sender<Command>, thread: Thread) -> Self {
        Self { commands, thread }
    }

    /// Asks for a report; none comes where the publisher has ended or is overloaded.
    pub fn report(&self) -> oneshot::Receiver<FeedReport> {
        let (reply, report) = oneshot::channel();
        // A queue that is full drops the reply, and the one who waits for it is told so.
        let _ = self.commands.try_send(Command::Report(reply));
        self.thread.unpark();
        report
    }

    /// Ends the publisher.
    pub fn stop(&self) {
        // Where the queue is full the publisher is ending or stuck; its thread is not waited for.
        let _ = self.commands.send_timeout(Command::Stop, Duration::from_millis(100));
        self.thread.unpark();
    }
}
