//! Files that are looked at: have they changed, and been left alone since?

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What shows that a file is another: where it is, how long, since when; none where there is none.
type Mark = Option<(u64, u64, i64, i64)>;

/// Files that are read together.
pub(super) struct Files {
    pub(super) paths: Vec<PathBuf>,
    /// How they were when they were read.
    read: Vec<Mark>,
    /// How they were at the last look, and for how many looks they have been so.
    seen: Vec<Mark>,
    rest: u32,
}

impl Files {
    pub(super) fn new<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut files = Self {
            paths: paths.into_iter().cloned().collect(),
            read: vec![],
            seen: vec![],
            rest: 0,
        };
        files.read = files.marks();
        files.seen.clone_from(&files.read);
        files
    }

    fn marks(&self) -> Vec<Mark> {
        let mark = |path: &PathBuf| {
            let found = fs::metadata(path).ok()?;
            Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        };
        self.paths.iter().map(mark).collect()
    }

    /// Are they to be read? Where they have changed, once they have been left alone for so many
    /// looks; and where it was `told` so.
    pub(super) fn are_due(&mut self, told: bool, rest: u32) -> bool {
        let marks = self.marks();
        self.rest = if marks == self.seen { self.rest + 1 } else { 0 };
        self.seen = marks;
        let due = told || self.seen != self.read && self.rest >= rest;
        if due {
            self.read.clone_from(&self.seen);
        }
        due && !self.paths.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_read_once_they_have_come_to_rest() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        let write = |text: &str| fs::write(&path, text).unwrap();
        write("1");
        let mut files = Files::new([&path]);
        assert!(!files.are_due(false, 2));
        write("22");
        // It changes, is still for a look, changes again: only then is it still for two.
        assert!(!files.are_due(false, 2) && !files.are_due(false, 2));
        write("333");
        assert!(!files.are_due(false, 2) && !files.are_due(false, 2));
        assert!(files.are_due(false, 2) && !files.are_due(false, 2));
        write("4444");
        assert!(files.are_due(false, 0) && !files.are_due(false, 0));
        write("55555");
        assert!(files.are_due(true, 9) && !files.are_due(false, 0));
        fs::remove_file(&path).unwrap();
        assert!(files.are_due(false, 0));
        assert!(!Files::new(&None).are_due(true, 0), "there is none");
    }
}
