//! The files that are read again while the server runs: small ones, each read whole.

use std::fs;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::wire::file::bytes_within;

/// The bytes of a file that may have so many at most. They may be a secret.
///
/// A pipe would be waited for, and everybody with it; a device may never end.
///
/// # Errors
/// It is no regular file, or larger; the system's reasons.
pub fn read(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    if !fs::metadata(path)?.is_file() {
        let words = "it is no regular file, which can be read again when it changes";
        return Err(io::Error::other(words));
    }
    read_once(path, most)
}

/// The same of what is read but once, and may be a pipe.
///
/// # Errors
/// It is larger; the system's reasons.
pub fn read_once(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    bytes_within(path, most)?
        .ok_or_else(|| io::Error::other(format!("it is larger than {most} bytes")))
}

/// What was read as a text.
///
/// # Errors
/// It is not UTF-8.
pub fn text(bytes: &[u8]) -> io::Result<Zeroizing<String>> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| io::Error::other(format!("it is not UTF-8: {error}")))?;
    Ok(Zeroizing::new(text.to_owned()))
}
