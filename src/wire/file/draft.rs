//! A file in the making: it has its name only once it is whole.
//!
//! It is written beside its place under a name of its own, which is removed where it is given up;
//! so a reader never finds a part of it, and what was there before stays until it is replaced.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong, and what would be right.
    pub reason: io::Error,
}

impl WriteError {
    /// Of a file.
    pub fn new(path: &Path, reason: io::Error) -> Self {
        Self { path: path.to_owned(), reason }
    }
}

/// A file in the making.
pub struct Draft {
    path: PathBuf,
    temporary: PathBuf,
    replace: bool,
    whole: bool,
}

impl Draft {
    /// Begins a file; returns what to write to. `replace`: one that is there already is replaced at
    /// the end.
    ///
    /// # Errors
    /// Where a file is there that is not to be replaced, or none can be made.
    pub fn create(path: &Path, replace: bool) -> Result<(Self, File), WriteError> {
        let error = |reason| WriteError::new(path, reason);
        let Some(name) = path.file_name() else {
            let reason = "is no name of a file";
            return Err(error(io::Error::new(io::ErrorKind::InvalidInput, reason)));
        };
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.partial", std::process::id()));
        let temporary = path.with_file_name(temporary);
        let draft = Self { path: path.to_owned(), temporary, replace, whole: false };
        draft.may_be_named()?;
        let file = draft.open()?;
        Ok((draft, file))
    }

    fn open(&self) -> Result<File, WriteError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true);
        options.open(&self.temporary).map_err(|reason| WriteError::new(&self.path, reason))
    }

    /// Begins it anew; what was written so far can still be read where it is open.
    ///
    /// # Errors
    /// Where no other file can be made.
    pub fn again(&self) -> Result<File, WriteError> {
        let removed = fs::remove_file(&self.temporary);
        removed.map_err(|reason| WriteError::new(&self.path, reason))?;
        self.open()
    }

    fn may_be_named(&self) -> Result<(), WriteError> {
        let reason = match fs::symlink_metadata(&self.path) {
            Ok(there) if there.is_dir() => "is a directory; name a file",
            Ok(_) if !self.replace => "exists already; --force replaces it",
            _ => return Ok(()),
        };
        let reason = io::Error::new(io::ErrorKind::AlreadyExists, reason);
        Err(WriteError::new(&self.path, reason))
    }

    /// Gives the file, which is written, its name, and returns its bytes.
    ///
    /// # Errors
    /// What the disk fails with; there is no file then.
    pub fn commit(mut self, file: &File) -> Result<u64, WriteError> {
        self.may_be_named()?;
        let finish = || {
            file.sync_all()?;
            let bytes = file.metadata()?.len();
            fs::rename(&self.temporary, &self.path)?;
            Ok(bytes)
        };
        let bytes = finish().map_err(|reason| WriteError::new(&self.path, reason))?;
        self.whole = true;
        Ok(bytes)
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.whole {
            // Where that fails a hidden file stays, whose name says what it is.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_else_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dbn");
        let (draft, mut file) = Draft::create(&path, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(draft);
        assert_eq!(names(folder.path()), Vec::<String>::new());
        let (draft, mut file) = Draft::create(&path, false).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(draft.commit(&file).unwrap(), 5);
        assert_eq!(names(folder.path()), ["a.dbn"]);
    }

    #[test]
    fn what_is_there_is_replaced_only_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dbn");
        let (early, file) = Draft::create(&path, false).unwrap();
        fs::write(&path, "old").unwrap();
        let refused = Draft::create(&path, false).err().unwrap().to_string();
        assert!(refused.ends_with("a.dbn: exists already; --force replaces it"), "{refused}");
        assert!(early.commit(&file).is_err(), "it came to be in between");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let (draft, file) = Draft::create(&path, true).unwrap();
        assert_eq!(draft.commit(&file).unwrap(), 0);
        assert!(Draft::create(folder.path(), true).is_err(), "a directory");
    }
}
