//! What can be wrong with a tape: what, where, which records are concerned, and what would help.

use std::io;
use std::path::{Path, PathBuf};

use crate::clock::UnixNanos;
use crate::wire::json::time_text as time;

/// Why a tape can't be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The disk or the system.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No segment in it.
    #[error("{}: there is no tape in this folder (no file NUMBER.tape)", .0.display())]
    Empty(PathBuf),
    /// Too many files.
    #[error("{}: more than {max} segments", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many are read.
        max: usize,
    },
    /// Records that were on it are not readable.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// Segments of different sequences in one folder.
    #[error(
        "{}: epoch {found}, but the tape before it has {expected}: these are two tapes, which \
         belong in two folders",
        path.display()
    )]
    Mixed {
        /// The segment.
        path: PathBuf,
        /// Its epoch.
        found: u64,
        /// The epoch before it.
        expected: u64,
    },
    /// A segment under the name of another one: in its place it would void what is before it.
    #[error(
        "{}: it has been renamed: its numbers begin with {first_seq}, so it belongs under the name \
         {first_seq:020}.tape",
        path.display()
    )]
    Renamed {
        /// The segment.
        path: PathBuf,
        /// The number that its name should say.
        first_seq: u64,
    },
    /// A position that retention has removed.
    #[error("not retained: the tape holds the records {oldest} to {newest}")]
    NotRetained {
        /// Number of the oldest record.
        oldest: u64,
        /// Number of the newest.
        newest: u64,
    },
    /// A new tape in a folder that is not there.
    #[error("{}: can't be made: the folder above it is not there; make that first", .0.display())]
    NoParent(PathBuf),
    /// Another recorder has the folder.
    #[error(
        "{}: another recorder is writing to it; give this one a folder of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// A tape that has no numbers left, or a file that claims so.
    #[error(
        "{}: no record numbers are left after {last}: start a new tape in another folder",
        path.display()
    )]
    Exhausted {
        /// The folder.
        path: PathBuf,
        /// The last number.
        last: u64,
    },
}

impl TapeError {
    /// An error of the system, at a path.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}

/// Records that were on the tape and can't be read, between two that can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} at byte {offset}: {reason}; lost: {lost}; --salvage reads on behind it, and `broadtape \
     repair` writes a clean copy",
    path.display()
)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
    /// What is lost by it.
    pub lost: Loss,
}

/// A run of records that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Number of the first.
    pub from_seq: u64,
    /// Number of the last; below `from_seq` where no record is concerned.
    pub to_seq: u64,
    /// `ts_out` of the last record before them, 0 where there is none.
    pub after: UnixNanos,
    /// `ts_out` of the first record behind them, 0 where there is none.
    pub before: UnixNanos,
}

impl Loss {
    /// Records that it holds.
    pub fn records(&self) -> u64 {
        (self.to_seq + 1).saturating_sub(self.from_seq)
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.records() {
            0 => return f.write_str("no record"),
            1 => write!(f, "record {}", self.from_seq)?,
            count => write!(f, "{count} records, {} to {}", self.from_seq, self.to_seq)?,
        }
        match (self.after, self.before) {
            (0, 0) => Ok(()),
            (0, before) => write!(f, ", published before {}", time(before)),
            (after, 0) => write!(f, ", published since {}", time(after)),
            (after, before) => write!(f, ", published {} to {}", time(after), time(before)),
        }
    }
}
