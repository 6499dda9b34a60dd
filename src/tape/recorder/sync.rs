//! The thread that waits for the disk (`fdatasync`), so that the recorder never does while it
//! records. One wait at a time covers all that was written before it: group commit.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::pending::Mark;
use crate::tape::disk::Output;

/// The recorder's side of it. Dropped, the thread ends once its wait is over.
pub(super) struct Syncer {
    asks: Sender<Arc<dyn Output>>,
    answers: Receiver<io::Result<()>>,
    /// What the wait that is under way will vouch for.
    waiting: Option<Mark>,
}

impl Syncer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn start() -> io::Result<Self> {
        let (asks, asked) = bounded::<Arc<dyn Output>>(1);
        let (answer, answers) = bounded(1);
        let run = move || {
            for output in asked {
                if answer.send(output.sync()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("tape-sync".to_owned()).spawn(run)?;
        Ok(Self { asks, answers, waiting: None })
    }

    /// Is a wait under way?
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Begins to wait for what was appended to a file up to `mark`, where no wait is under way.
    pub(super) fn begin(&mut self, output: &Arc<dyn Output>, mark: &Mark) {
        if self.waiting.is_none() {
            self.waiting = self.asks.send(output.clone()).is_ok().then(|| mark.clone());
        }
    }

    /// The result of the wait that is under way, where it is over within `patience`.
    pub(super) fn result(&mut self, patience: Duration) -> Option<(Mark, io::Result<()>)> {
        self.waiting.as_ref()?;
        let result = if patience.is_zero() {
            self.answers.try_recv().map_err(|e| e == TryRecvError::Disconnected)
        } else {
            let result = self.answers.recv_timeout(patience);
            result.map_err(|e| e == RecvTimeoutError::Disconnected)
        };
        let result = match result {
            Ok(result) => result,
            Err(false) => return None,
            Err(true) => Err(io::Error::other("the thread that syncs has ended")),
        };
        Some((self.waiting.take()?, result))
    }
}
