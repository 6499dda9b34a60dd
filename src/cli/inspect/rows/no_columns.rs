//! Parquet, where the program is built without it.

use std::io;
use std::path::Path;

use super::Rows;
use crate::cli::export::WITHOUT_PARQUET;
use crate::wire::file::{Fault, FileError, Place};

/// Says that there is none.
///
/// # Errors
/// Always, with what would be right.
pub(super) fn open(path: &Path) -> Result<Box<dyn Rows>, FileError> {
    let fault = Fault::Open(io::Error::new(io::ErrorKind::Unsupported, WITHOUT_PARQUET));
    Err(FileError { file: path.display().to_string(), place: Place::File, fault })
}
