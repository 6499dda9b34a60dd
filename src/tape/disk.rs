//! What a recorder asks of the disk: little enough that a test can stand in for one that fails.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Where segments are made and removed.
pub trait Disk: Send + Sync {
    /// Makes a new file.
    ///
    /// # Errors
    /// The system's; `AlreadyExists` where there is one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Output>>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in the folder are on the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync_names(&self, folder: &Path) -> io::Result<()>;
}

/// A file that is appended to.
pub trait Output: Send + Sync {
    /// Appends all of it.
    ///
    /// # Errors
    /// The system's. Part of it may have been written.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when what was appended is on the disk (`fdatasync`).
    ///
    /// # Errors
    /// The system's. What was appended since the last success may be lost, and asking again would
    /// not tell: the kernel reports it once.
    fn sync(&self) -> io::Result<()>;

    /// Does a folder still name it?
    ///
    /// # Errors
    /// The system's.
    fn is_named(&self) -> io::Result<bool>;
}

/// The system's files.
pub struct Files;

impl Disk for Files {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Output>> {
        Ok(Arc::new(File::options().append(true).create_new(true).open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_names(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl Output for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn is_named(&self) -> io::Result<bool> {
        Ok(self.metadata()?.nlink() > 0)
    }
}
