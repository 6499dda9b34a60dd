//! Folders that hold recordings.

use std::io;
use std::path::{Path, PathBuf};

/// A folder that holds none.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It can't be read.
    #[error("{}: {error}", path.display())]
    Unread {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nothing in it is a recording.
    #[error(
        "{}: there is no tape in this folder (no file NUMBER.tape), and no .dbn or .dbn.zst file",
        .0.display()
    )]
    Empty(PathBuf),
}

/// The DBN files of a folder, by name; the folder itself where it is a tape.
///
/// # Errors
/// [`FolderError`].
pub fn found_in(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let unread = |error| FolderError::Unread { path: folder.to_owned(), error };
    let (mut files, mut tape) = (Vec::new(), false);
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        let file = entry.map_err(unread)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        tape |= name.ends_with(".tape");
        let hidden = name.starts_with('.');
        if !hidden && (name.ends_with(".dbn") || name.ends_with(".dbn.zst")) {
            files.push(file);
        }
    }
    files.sort();
    match (tape, files.is_empty()) {
        (true, _) => Ok(vec![folder.to_owned()]),
        (false, true) => Err(FolderError::Empty(folder.to_owned())),
        (false, false) => Ok(files),
    }
}
