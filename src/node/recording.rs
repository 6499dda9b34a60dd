//! The recorder beside a server: claimed before the ring is made, started before the feeds, told to
//! end after them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::options::Options;
use crate::clock::unix_now;
use crate::feed::publisher::FeedEvent;
use crate::limits::TAPE_STOP;
use crate::ring::{Progresses, Reader, Ring};
use crate::tape::TapeError;
use crate::tape::disk::Files;
use crate::tape::recorder::{Claim, Handle, Origin, Parts, RecorderEvent, Watermark};
use crate::wire::instrument::Directory;
use crate::wire::message::SourceState;

/// The name under which clients are told of it.
pub(super) const SOURCE: &str = "recorder";

/// The tape that is recorded, where one is.
#[derive(Default)]
pub(super) struct Recording {
    claim: Option<Claim>,
    handle: Option<Handle>,
    events: Option<mpsc::UnboundedReceiver<RecorderEvent>>,
}

impl Recording {
    /// Takes the folder that is to be recorded to, if any. `epoch` is for a tape that is new.
    ///
    /// # Errors
    /// [`TapeError`], as [`Claim::take`].
    pub(super) fn claim(options: &Options, epoch: u64) -> Result<Self, TapeError> {
        let claim =
            options.record.clone().map(|options| Claim::take(options, epoch)).transpose()?;
        Ok(Self { claim, ..Self::default() })
    }

    /// Where the sequence goes on.
    pub(super) fn origin(&self, epoch: u64) -> Origin {
        let new = Origin { epoch, ..Origin::default() };
        self.claim.as_ref().map_or(new, Claim::origin)
    }

    /// The readers of a ring, and the recorder where there is one.
    pub(super) fn progress(&self, shards: usize) -> Progresses {
        let progress = Progresses::new(shards);
        if self.claim.is_some() { progress.with_recorder() } else { progress }
    }

    /// Starts it, where there is one. `reader_id` is the first that no shard has.
    ///
    /// # Errors
    /// [`TapeError`], as [`Claim::start`].
    pub(super) fn start(
        &mut self,
        (ring, reader, reader_id): (Ring, Reader, usize),
        directory: &Arc<Directory>,
        progress: &Progresses,
        elastic: bool,
    ) -> Result<(), TapeError> {
        let Some(claim) = self.claim.take() else { return Ok(()) };
        let (sender, events) = mpsc::unbounded_channel();
        let parts = Parts {
            ring,
            reader,
            reader_id,
            elastic,
            progress: progress.clone(),
            directory: directory.clone(),
            watermark: Arc::new(Watermark::default()),
            disk: Arc::new(Files),
            // Nobody listens where the server is ending.
            events: Box::new(move |event| drop(sender.send(event))),
        };
        self.handle = Some(claim.start(parts)?);
        self.events = Some(events);
        Ok(())
    }

    /// What it exports, where there is one.
    pub(super) fn watermark(&self) -> Option<Arc<Watermark>> {
        self.handle.as_ref().map(|handle| handle.watermark().clone())
    }

    /// Waits for what it has to tell; for ever where there is none.
    pub(super) async fn event(&mut self) -> FeedEvent {
        let event = match &mut self.events {
            Some(events) => events.recv().await,
            None => std::future::pending().await,
        };
        if let Some(RecorderEvent { state, since, seq, message }) = event {
            return FeedEvent { source: SOURCE.to_owned(), state, since, seq, message };
        }
        self.events = None;
        let seq = self.handle.as_ref().map_or(0, |handle| handle.watermark().recorded());
        let message = "its thread has ended: nothing is recorded any more".to_owned();
        let (source, state) = (SOURCE.to_owned(), SourceState::Failed);
        FeedEvent { source, state, since: unix_now(), seq, message }
    }

    /// Ends it, once the publisher, whose `events` end with it, has been told to.
    pub(super) async fn end(&mut self, events: &mut mpsc::UnboundedReceiver<FeedEvent>) {
        let Some(handle) = self.handle.take() else { return };
        let ended = async { while events.recv().await.is_some() {} };
        let complete = timeout(TAPE_STOP / 2, ended).await.is_ok();
        let stop = tokio::task::spawn_blocking(move || handle.stop(complete));
        // A panic in it is in the log already.
        let _ = stop.await;
        while let Ok(event) = self.events.as_mut().map_or(Err(()), |e| e.try_recv().map_err(drop)) {
            tracing::warn!(source = SOURCE, state = event.state.name(), "{}", event.message);
        }
    }
}
