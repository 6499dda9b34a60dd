//! The folder of a tape: the names of its segments, their order, and the lock of its recorder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::TapeError;
use crate::limits::TAPE_SEGMENTS_MAX;

/// What a recorder holds a lock on while it writes to a folder.
const LOCK: &str = "recorder.lock";

/// The file of one segment. Ordered as the tape is: by its first number; of two with the same, the
/// one with the greater `turn` is newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) first_seq: u64,
    turn: u32,
    pub(super) path: PathBuf,
}

impl Name {
    /// The name of a segment that may begin with `first_seq`. `turn` is above 0 where an older one
    /// with that number has come to nothing.
    pub(super) fn new(folder: &Path, first_seq: u64, turn: u32) -> Self {
        let file = match turn {
            0 => format!("{first_seq:020}.tape"),
            _ => format!("{first_seq:020}-{turn}.tape"),
        };
        Self { first_seq, turn, path: folder.join(file) }
    }

    /// A segment under whatever name.
    pub(super) fn any(path: &Path) -> Self {
        Self::of(path).unwrap_or_else(|| Self { first_seq: 1, turn: 0, path: path.to_owned() })
    }

    /// What a path says; none where it is no segment's.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".tape")?;
        let (seq, turn) =
            stem.split_once('-').map_or((stem, None), |(seq, turn)| (seq, Some(turn)));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if seq.len() != 20 || !digits(seq) || !turn.is_none_or(digits) {
            return None;
        }
        let turn = turn.map_or(Some(0), |turn| turn.parse().ok())?;
        Some(Self { first_seq: seq.parse().ok()?, turn, path: path.to_owned() })
    }
}

/// The segments of a folder, in order.
///
/// # Errors
/// Where it can't be read, or holds more than a tape has.
pub(super) fn list(folder: &Path) -> Result<Vec<Name>, TapeError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(TapeError::io(folder))? {
        let path = entry.map_err(TapeError::io(folder))?.path();
        names.extend(Name::of(&path));
        if names.len() > TAPE_SEGMENTS_MAX {
            return Err(TapeError::TooMany { path: folder.to_owned(), max: TAPE_SEGMENTS_MAX });
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A folder that nobody else records to. The system lets go of it when the process ends, however
/// that comes.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder, which is made where it is not there; its parent has to be.
    ///
    /// # Errors
    /// [`TapeError::Locked`] where another recorder has it, [`TapeError::NoParent`]; the system's
    /// reasons.
    pub(super) fn take(folder: &Path) -> Result<Self, TapeError> {
        match fs::create_dir(folder).map_err(|error| (error.kind(), error)) {
            Ok(()) | Err((ErrorKind::AlreadyExists, _)) => {}
            Err((ErrorKind::NotFound, _)) => return Err(TapeError::NoParent(folder.to_owned())),
            Err((_, error)) => return Err(TapeError::Io { path: folder.to_owned(), error }),
        }
        let path = folder.join(LOCK);
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(TapeError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(TapeError::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(TapeError::Io { path, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_the_tape_does() {
        let folder = Path::new("d");
        let names = [(9, 0), (10, 0), (10, 1), (10, 12), (u64::MAX, 0)];
        let names = names.map(|(seq, turn)| Name::new(folder, seq, turn));
        assert!(names.is_sorted());
        for name in &names {
            assert_eq!(Name::of(&name.path).as_ref(), Some(name));
        }
    }

    #[test]
    fn other_files_are_no_segments() {
        let long = format!("{}.tape", "9".repeat(20));
        for other in ["a.tape", "1.tape", "recorder.lock", "00000000000000000001.dbn", &long] {
            assert_eq!(Name::of(Path::new(other)), None, "{other}");
        }
        for other in [
            "00000000000000000001-.tape",
            "00000000000000000001-x.tape",
            "+0000000000000000001.tape",
        ] {
            assert_eq!(Name::of(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn one_recorder_has_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(folder.path()).unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(TapeError::Locked(_))));
        drop(held);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_is_made_and_those_above_it_are_not() {
        let above = tempfile::tempdir().unwrap();
        Lock::take(&above.path().join("new")).unwrap();
        let deep = above.path().join("none/new");
        assert!(matches!(Lock::take(&deep), Err(TapeError::NoParent(named)) if named == deep));
    }
}
