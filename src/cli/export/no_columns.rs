//! Parquet, where the program is built without it.

use std::io;
use std::path::Path;

use super::sink::Sink;
use crate::wire::file::{Contents, WriteError};

/// Says that there is none.
///
/// # Errors
/// Always, with what would be right.
pub(super) fn create(path: &Path, _: &Contents, _: bool) -> Result<Box<dyn Sink>, WriteError> {
    let reason = "this broadtape is built without Parquet; build it with \
                  `cargo build --release --features parquet`";
    Err(WriteError::new(path, io::Error::new(io::ErrorKind::Unsupported, reason)))
}
