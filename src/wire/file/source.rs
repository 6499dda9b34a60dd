//! The bytes of a DBN file: what kind of file it is, by its first bytes, and decompression.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Fault;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// First bytes of a zstd frame to skip; its own first byte is 0x50 to 0x5f.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// Bytes that are looked at.
const HEAD: usize = 16;

/// Files that people give by mistake, by their first bytes.
const KNOWN: [(&[u8], &str); 8] = [
    (b"\x89PNG", "a PNG picture"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "Parquet"),
    (b"BZh", "bzip2"),
    (b"\x0a\x0d\x0d\x0a", "a pcapng capture"),
    (b"\xd4\xc3\xb2\xa1", "a pcap capture"),
    (b"{", "JSON"),
];

/// Opens a file and counts in `read` what is read of it; returns its stream and its length, bytes.
pub(super) fn open(path: &std::path::Path, read: Arc<AtomicU64>) -> io::Result<(Counted, u64)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
    }
    Ok((Counted { file, read }, about.len()))
}

/// A file that counts what is read of it.
pub(super) struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The stream decompressed, where it is compressed.
pub(super) fn decompress(
    mut raw: impl Read + Send + 'static,
) -> Result<Box<dyn Read + Send>, Fault> {
    let mut head = Vec::with_capacity(HEAD);
    raw.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(Fault::Read)?;
    if head.is_empty() {
        return Err(Fault::Empty);
    }
    let skippable = head.first().is_some_and(|first| first >> 4 == 5);
    let skippable = skippable && head.get(1..4) == Some(&ZSTD_SKIPPABLE);
    if skippable && head.get(8..11) == Some(b"DBZ") {
        return Err(Fault::Legacy);
    }
    let zstd = skippable || head.starts_with(&ZSTD);
    let whole = Cursor::new(head).chain(raw);
    if !zstd {
        return Ok(Box::new(whole));
    }
    let decoder = zstd::stream::read::Decoder::new(whole).map_err(Fault::Read)?;
    Ok(Box::new(decoder))
}

/// What these first bytes are, for people.
pub(super) fn describe(head: &[u8]) -> String {
    let known = KNOWN.iter().find(|(magic, _)| head.starts_with(magic));
    let name = known.map_or(String::new(), |(_, name)| format!(" ({name})"));
    let shown: String = head[..head.len().min(8)].escape_ascii().to_string();
    format!("\"{shown}\"{name}")
}
