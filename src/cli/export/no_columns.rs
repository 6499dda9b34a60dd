//! Parquet, where the program is built without it.

use std::io;
use std::path::Path;

use super::WITHOUT_PARQUET;
use super::sink::Sink;
use crate::wire::file::{Contents, WriteError};

/// Says that there is none.
///
/// # Errors
/// Always, with what would be right.
pub(super) fn create(path: &Path, _: &Contents, _: bool) -> Result<Box<dyn Sink>, WriteError> {
    Err(WriteError::new(path, io::Error::new(io::ErrorKind::Unsupported, WITHOUT_PARQUET)))
}
