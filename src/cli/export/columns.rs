//! Parquet, where the program is built with it.

#[cfg(feature = "parquet")]
pub(super) use super::parquet::create;

#[cfg(not(feature = "parquet"))]
pub(super) use absent::create;

#[cfg(not(feature = "parquet"))]
mod absent {
    use std::io;
    use std::path::Path;

    use super::super::sink::Sink;
    use crate::wire::file::{Contents, WriteError};

    /// # Errors
    /// Always, and says what would be right.
    pub(in crate::cli::export) fn create(
        path: &Path,
        _: &Contents,
        _: bool,
    ) -> Result<Box<dyn Sink>, WriteError> {
        let reason = "this broadtape is built without Parquet; build it with \
                      `cargo build --release --features parquet`";
        Err(WriteError::new(path, io::Error::new(io::ErrorKind::Unsupported, reason)))
    }
}
