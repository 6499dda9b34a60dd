//! A folder that is taken for recording: locked, looked at, and where the sequence goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::shelf::Kept;
use super::{Handle, Parts, Recorder};
use crate::clock::UnixNanos;
use crate::limits::TAPE_RESTART_SKIP;
use crate::tape::error::TapeError;
use crate::tape::folder::Lock;
use crate::tape::read::Tape;

/// When a position counts as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once the system has it: it survives the process, not the machine.
    None,
    /// The same, and it is put on the disk this often.
    Interval(Duration),
    /// Once it is on the disk.
    Commit,
}

/// How a tape is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Its folder.
    pub folder: PathBuf,
    /// When a position counts as recorded.
    pub durability: Durability,
    /// A segment ends at this size.
    pub segment_bytes: u64,
    /// A segment ends at this age.
    pub segment_time: Duration,
    /// The oldest segments go where all are more than this.
    pub retain_bytes: Option<u64>,
    /// Segments whose records are all older than this go.
    pub retain_time: Option<Duration>,
    /// Are blocks compressed?
    pub compress: bool,
}

/// Where a sequence goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The sequence.
    pub epoch: u64,
    /// The last number that may have been given; 0 for a new sequence.
    pub seq: u64,
    /// The last `ts_out` that was.
    pub ts_out: UnixNanos,
}

/// A folder that is taken for recording.
pub struct Claim {
    pub(super) options: RecordOptions,
    pub(super) lock: Lock,
    pub(super) origin: Origin,
    /// The last record of the tape.
    pub(super) last_seq: u64,
    pub(super) oldest: u64,
    pub(super) kept: Vec<Kept>,
}

impl Claim {
    /// Takes a folder; what is in it is continued. `epoch` is for a new tape.
    ///
    /// # Errors
    /// [`TapeError`]: another recorder has it, its tape is damaged, or the system's reasons.
    pub fn take(options: RecordOptions, epoch: u64) -> Result<Self, TapeError> {
        let lock = Lock::take(&options.folder)?;
        let tape = match Tape::open(&options.folder) {
            Ok(tape) => tape,
            Err(TapeError::Empty(_)) => {
                let origin = Origin { epoch, ..Origin::default() };
                return Ok(Self {
                    options,
                    lock,
                    origin,
                    last_seq: 0,
                    oldest: 1,
                    kept: Vec::new(),
                });
            }
            Err(error) => return Err(error),
        };
        if let Some(damage) = tape.damage().first() {
            return Err(TapeError::Damaged(Box::new(damage.clone())));
        }
        let origin = origin(&tape, &options.folder)?;
        let (last_seq, oldest) = (tape.last_seq(), tape.first_seq());
        Ok(Self { lock, origin, last_seq, oldest, kept: tape.kept(), options })
    }

    /// Where the sequence goes on.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Starts the recorder on a thread of its own. Its first segment is made before this returns,
    /// so that a disk that can't be written to is told at once.
    ///
    /// # Errors
    /// The disk's, or the system's.
    pub fn start(self, parts: Parts) -> Result<Handle, TapeError> {
        let folder = self.options.folder.clone();
        let failed = |error: io::Error| TapeError::Io { path: folder.clone(), error };
        let watermark = parts.watermark.clone();
        let (stop, stops) = crossbeam::channel::bounded(1);
        let mut recorder = Recorder::new(self, parts, stops).map_err(failed)?;
        recorder.open().map_err(failed)?;
        let thread = thread::Builder::new().name("tape".to_owned());
        let thread = thread.spawn(move || recorder.run_guarded()).map_err(failed)?;
        Ok(Handle { watermark, stop, thread: Arc::new(thread) })
    }
}

/// Where the sequence of a tape goes on: after its last number where it was ended in order, else
/// beyond all that may have been published and not recorded.
fn origin(tape: &Tape, folder: &Path) -> Result<Origin, TapeError> {
    let seq = match tape.published() {
        Some(seq) => Some(seq),
        None => tape.named_seq().checked_add(TAPE_RESTART_SKIP),
    };
    // Half of all numbers are left for what is to come.
    let seq = seq
        .filter(|seq| *seq < u64::MAX / 2)
        .ok_or_else(|| TapeError::Exhausted { path: folder.to_owned(), last: tape.last_seq() })?;
    Ok(Origin { epoch: tape.epoch(), seq, ts_out: tape.last_time().unwrap_or(0) })
}
