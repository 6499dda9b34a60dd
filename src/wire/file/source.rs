//! The bytes of a recorded file: what kind of file it is, by its first bytes, and decompression.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::Fault;
use crate::limits::XZ_MEMORY_MAX;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const XZ: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
/// First bytes of a zstd frame to skip; its own first byte is 0x50 to 0x5f.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// Bytes that are looked at.
const HEAD: usize = 16;

/// Files that people give by mistake, by their first bytes.
const KNOWN: [(&[u8], &str); 12] = [
    (b"\x89PNG", "a PNG picture"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "Parquet"),
    (b"BZh", "bzip2"),
    (b"\x7fELF", "a program"),
    (b"DBN", "DBN"),
    (b"\x0a\x0d\x0d\x0a", "a pcapng capture"),
    (b"\xd4\xc3\xb2\xa1", "a pcap capture"),
    (b"\x4d\x3c\xb2\xa1", "a pcap capture"),
    (b"\xa1\xb2\xc3\xd4", "a pcap capture"),
    (b"\xa1\xb2\x3c\x4d", "a pcap capture"),
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
    let (gzip, xz) = (head.starts_with(&GZIP), head.starts_with(&XZ));
    let whole = Cursor::new(head).chain(raw);
    Ok(match (zstd, gzip, xz) {
        (true, ..) => Box::new(zstd::stream::read::Decoder::new(whole).map_err(Fault::Read)?),
        (_, true, _) => Box::new(MultiGzDecoder::new(whole)),
        (.., true) => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY_MAX, CONCATENATED);
            let stream = stream.map_err(|error| Fault::Read(error.into()))?;
            Box::new(XzDecoder::new_stream(whole, stream))
        }
        _ => Box::new(whole),
    })
}

/// What these first bytes are, for people.
pub(super) fn describe(head: &[u8]) -> String {
    let known = KNOWN.iter().find(|(magic, _)| head.starts_with(magic));
    let name = known.map_or(String::new(), |(_, name)| format!(" ({name})"));
    let shown: String = head[..head.len().min(8)].escape_ascii().to_string();
    format!("\"{shown}\"{name}")
}
