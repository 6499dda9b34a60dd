//! Files that are small, read whole. A device without a length does not get around the bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// The bytes of a file that has so many at most; none where it is longer. They may be a secret.
///
/// # Errors
/// The system's reasons.
pub fn bytes_within(path: &Path, most: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// The same of a text.
///
/// # Errors
/// The system's reasons; it is not UTF-8.
pub fn text_within(path: &Path, most: u64) -> io::Result<Option<String>> {
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    Ok((text.len() as u64 <= most).then_some(text))
}
