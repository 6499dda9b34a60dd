//! The recorder: one more reader of the ring, on a thread of its own, never in the feed's way.
//!
//! It copies what is new into a block, and appends the block to the tape when it is full or has
//! waited for [`TAPE_FLUSH`](crate::limits::TAPE_FLUSH). Where it is overtaken, the hole is exact,
//! counted and told. Where the disk fails, streaming goes on: the recorder goes back to the last
//! place that it can vouch for, tries again in a new segment, and reads what the ring still has.
//!
//! Invariants
//! 1. `durable <= written <= pending`: places on the tape and, behind them, in the ring.
//! 2. A file is left alone after an error: what was written to it before may stay, and the segment
//!    after it says how far it counts.

mod append;
mod claim;
mod outage;
mod pending;
mod run;
mod shelf;
mod status;
mod sync;

pub use claim::{Claim, Durability, Origin, RecordOptions};
pub(super) use shelf::Kept;
pub use status::{Health, RecorderEvent, RecorderStatus, Watermark};

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;

use super::disk::Disk;
use crate::limits::TAPE_STOP;
use crate::ring::{Progresses, Reader, Ring};
use crate::wire::instrument::Directory;
pub(in crate::tape) use run::Recorder;

/// What a recorder is given to work with.
pub struct Parts {
    /// The ring.
    pub ring: Ring,
    /// A reader of it, from before the first record.
    pub reader: Reader,
    /// Its id among those that the ring wakes.
    pub reader_id: usize,
    /// Does a feed wait for it? Then it does not wait for more to come together.
    pub elastic: bool,
    /// Where it says how far it has read, for a feed that waits.
    pub progress: Progresses,
    /// All instruments.
    pub directory: Arc<Directory>,
    /// What it exports.
    pub watermark: Arc<Watermark>,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// What it has to tell.
    pub events: Box<dyn Fn(RecorderEvent) + Send>,
}

/// How a recorder is told to stop.
pub(super) struct Stop {
    /// Has the feed ended, so that the newest number is the last?
    pub(super) complete: bool,
}

/// The control plane's side of a recorder.
#[derive(Clone)]
pub struct Handle {
    watermark: Arc<Watermark>,
    stop: Sender<Stop>,
    thread: Arc<JoinHandle<()>>,
}

impl Handle {
    /// What it exports.
    pub fn watermark(&self) -> &Arc<Watermark> {
        &self.watermark
    }

    /// Has its thread ended?
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it once it has recorded what there is, and waits for that, within reason. `complete`
    /// says that nothing more is published: then the tape can be continued without a hole.
    pub fn stop(&self, complete: bool) {
        // Where it has been told already, once is enough.
        let _ = self.stop.try_send(Stop { complete });
        self.thread.thread().unpark();
        let told = Instant::now();
        while !self.thread.is_finished() && told.elapsed() < TAPE_STOP {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if !self.thread.is_finished() {
            tracing::warn!(
                "the recorder's disk does not answer: its last records are not waited for"
            );
        }
    }
}
