//! What can be wrong with a file: what, where, and what would be right.

use std::fmt;
use std::io;

/// A file that can't be read, or not further. What came before is good.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {place}{fault}")]
pub struct FileError {
    /// The file.
    pub file: String,
    /// Where in it; none where it is refused as a whole.
    pub place: Place,
    /// What.
    #[source]
    pub fault: Fault,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All of it, or its beginning.
    File,
    /// A record.
    Record {
        /// The record, counted from 1: so many less one before it are good.
        number: u64,
        /// Its first byte, counted from 0 in the decompressed stream.
        byte: u64,
    },
    /// A message or a packet of another format.
    Message {
        /// Counted from 1.
        number: u64,
        /// Its first byte, counted from 0 in the decompressed stream.
        byte: u64,
    },
    /// A line, counted from 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Record { number, byte } => write!(f, "record {number} at byte {byte}: "),
            Self::Message { number, byte } => write!(f, "message {number} at byte {byte}: "),
            Self::Line(number) => write!(f, "line {number}: "),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It can't be opened.
    #[error("can't be opened: {0}")]
    Open(io::Error),
    /// The disk failed, or the compression is damaged or cut short.
    #[error("can't be read on: {0}")]
    Read(io::Error),
    /// No byte in it.
    #[error("is empty")]
    Empty,
    /// Something else.
    #[error(
        "is not DBN: it begins with {0}; expected \"DBN\", a DBN record, or a \
         compressed one (zstd, gzip, xz)"
    )]
    Foreign(String),
    /// DBN's predecessor.
    #[error(
        "is DBZ, the predecessor of DBN, which is not read; the `dbn` command line tool converts it"
    )]
    Legacy,
    /// A version this program doesn't know.
    #[error("is DBN version {0}; versions 1 to 3 are read")]
    Version(u8),
    /// The metadata says that it is longer than any.
    #[error("metadata of {length} bytes; at most {max} are read")]
    MetadataLong {
        /// What it says.
        length: usize,
        /// What is read.
        max: usize,
    },
    /// The file ends within its metadata.
    #[error("ends within its metadata: {have} of {need} bytes")]
    MetadataEnds {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// The metadata makes no sense.
    #[error("metadata is damaged: {0}")]
    Metadata(String),
    /// The file ends within a record.
    #[error("the file ends within it: {have} of {need} bytes")]
    Ends {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be, as far as is known.
        need: usize,
    },
    /// A record type that DBN doesn't know.
    #[error("type {0:#04x} is no record type of DBN")]
    Type(u8),
    /// A record is longer or shorter than its type is.
    #[error("type {rtype:#04x} with {length} bytes, which has {expected}")]
    Length {
        /// Its type.
        rtype: u8,
        /// What its header says, bytes.
        length: usize,
        /// What would be right.
        expected: String,
    },
    /// What is wrong with a file of another format, and what would be right.
    #[error("{0}")]
    Format(String),
    /// A bar of the type that DBN gave up.
    #[error("type 0x11 is a bar of unknown interval, and the metadata names no ohlcv schema")]
    Bar,
}
