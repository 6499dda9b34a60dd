//! `broadtape record`: a feed and its recorder, and nobody to serve.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::machinery::random_epoch;
use super::options::Options;
use super::recording::Recording;
use super::server::{Program, ServerError};
use crate::feed::publisher::{self, Publisher};
use crate::limits::ELASTIC_WINDOW_SHARE;
use crate::ring::ring_from;
use crate::tape::recorder::RecorderStatus;
use crate::wire::instrument::Directory;
use crate::wire::message::SourceState;

/// Between two reports of how far it is.
const REPORT: Duration = Duration::from_millis(250);

/// Records until it is told to end by what `signals` returns, or the feed is over; `report` is told
/// how far it is. Returns how far it came.
///
/// # Errors
/// [`ServerError`]: before anything is recorded; and after all is, where the feed failed.
pub fn run<S: AsyncFnMut()>(
    options: &Options,
    program: Program,
    signals: impl FnOnce() -> io::Result<S>,
    mut report: impl FnMut(&RecorderStatus),
) -> Result<RecorderStatus, ServerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let epoch = random_epoch()?;
    let mut recording = Recording::claim(options, epoch)?;
    let origin = recording.origin(epoch);
    let (writer, ring) = ring_from(options.ring_bytes, origin.seq + 1, origin.ts_out)?;
    let (directory, progress) = (Arc::new(Directory::default()), recording.progress(0));
    let (sender, mut events) = mpsc::unbounded_channel();
    let publisher = Publisher::new(publisher::Parts {
        feeds: program.feeds,
        derive: program.derive,
        writer,
        directory: directory.clone(),
        progress: progress.clone(),
        hold: 0,
        // A feed that knows no pace may be a quarter of the ring ahead: no client's queue counts.
        queue: options.ring_bytes / 4 * ELASTIC_WINDOW_SHARE,
        epoch: origin.epoch,
        events: sender,
    })?;
    recording.start((ring.clone(), ring.reader(), 0), &directory, &progress, program.elastic)?;
    let watermark = recording.watermark().unwrap_or_default();
    runtime.block_on(async {
        let mut told = signals()?;
        let publisher = publisher.start()?;
        let mut tick = tokio::time::interval(REPORT);
        let mut failed = None;
        loop {
            tokio::select! {
                () = told() => break,
                _ = tick.tick() => report(&watermark.status()),
                event = recording.event() => {
                    let state = event.state.name();
                    tracing::warn!(source = %event.source, state, "{}", event.message);
                }
                Some(event) = events.recv() => {
                    tracing::info!(source = %event.source, state = event.state.name(), "feed");
                    if event.state == SourceState::Failed {
                        failed = Some(event.message);
                    } else if event.state != SourceState::Ended {
                        continue;
                    }
                    break;
                }
            }
        }
        publisher.stop();
        recording.end(&mut events).await;
        match failed {
            Some(failed) => Err(ServerError::Unfinished(failed)),
            None => Ok(watermark.status()),
        }
    })
}
