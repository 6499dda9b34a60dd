//! Reads and writes DBN files ([`Reader`], [`Writer`]).
//!
//! They are read record by record, as bare DBN v3 records; never more than a window of them in
//! memory.
//!
//! Plain, zstd, gzip or xz, in one frame or many; versions 1 to 3, whole files with metadata or
//! fragments without, told apart by their bytes, not by their names. Type and exact length of every
//! record are checked before anything else looks at it: the `dbn` crate panics on short ones. A
//! fragment's version and whether it has `ts_out` are read off its records' lengths; where they
//! don't tell, the versions don't differ. `ts_out` is stripped.
//!
//! [`Input`] is a file of any format as a window of bytes, [`Writer`] writes DBN files.

mod contents;
mod draft;
mod fault;
mod form;
mod input;
mod small;
mod source;
mod upgrade;
mod window;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dbn::decode::dbn::fsm::{DbnFsm, ProcessResult};
use dbn::{Metadata, Schema, rtype};

pub use contents::{Contents, Span};
pub use draft::{Draft, WriteError};
pub use fault::{Fault, FileError, Place};
pub use form::{Forms, VERSIONS, bare_length};
pub use input::{Extent, Input, Line};
pub use small::{bytes_within, text_within};
pub use write::{Compression, Encoder, Writer};

use super::record::{HEADER, length};
use upgrade::Upgrader;
use window::Window;

/// Bytes of metadata that are read at most: mappings of 1.6 million symbols.
const METADATA_MAX: usize = 256 << 20;
/// Bytes before the metadata: `DBN`, the version, the metadata's length (u32).
const PRELUDE: usize = 8;
/// Bytes of metadata that are always there.
const METADATA_MIN: usize = 100;

/// A DBN file, and the record it stands at.
pub struct Reader {
    name: String,
    window: Window,
    forms: Forms,
    metadata: Option<Metadata>,
    /// What bars of the type that DBN gave up are, as the file's schema says.
    bar: Option<u8>,
    upgrader: Upgrader,
    at: At,
    /// Bytes that the record it stands at takes in the file.
    taken: usize,
    /// Records so far, this one included.
    records: u64,
    read: Arc<AtomicU64>,
    size: u64,
}

/// Where the record is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Window { length: usize },
    Upgraded,
    End,
}

impl Reader {
    /// Opens a file and reads its metadata. It stands before the first record.
    ///
    /// # Errors
    /// [`FileError`] where it is no DBN file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let read = Arc::new(AtomicU64::new(0));
        match source::open(path, read.clone()) {
            Ok((file, size)) => Ok(Self { read, size, ..Self::new(name, file)? }),
            Err(error) => {
                Err(FileError { file: name, place: Place::File, fault: Fault::Open(error) })
            }
        }
    }

    /// As [`Reader::open`] does, of a stream that people know as `name`.
    ///
    /// # Errors
    /// [`FileError`] where it holds no DBN.
    pub fn new(
        name: String,
        stream: impl std::io::Read + Send + 'static,
    ) -> Result<Self, FileError> {
        let begin = || {
            let mut window = Window::new(source::decompress(stream)?);
            let head = begin(&mut window)?;
            Ok((window, head))
        };
        let (window, (forms, metadata)) =
            begin().map_err(|fault| FileError { file: name.clone(), place: Place::File, fault })?;
        Ok(Self {
            name,
            window,
            forms,
            bar: metadata.as_ref().and_then(|m| m.schema).and_then(bar_of),
            metadata,
            upgrader: Upgrader::new(),
            at: At::Start,
            taken: 0,
            records: 0,
            read: Arc::default(),
            size: 0,
        })
    }

    /// Moves on to the next record; false at the end.
    ///
    /// # Errors
    /// [`FileError`] where the file is damaged or ends within a record; it then stands at the end.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, FileError> {
        if self.at == At::End {
            return Ok(false);
        }
        self.window.consume(self.taken);
        (self.taken, self.at) = (0, At::End);
        match self.load() {
            Ok(more) => Ok(more),
            Err(fault) => {
                let number = self.records + 1;
                let place = Place::Record { number, byte: self.window.consumed() };
                Err(FileError { file: self.name.clone(), place, fault })
            }
        }
    }

    #[inline]
    fn load(&mut self) -> Result<bool, Fault> {
        if !self.window.fill(HEADER).map_err(Fault::Read)? {
            let have = self.window.data().len();
            return if have == 0 { Ok(false) } else { Err(Fault::Ends { have, need: HEADER }) };
        }
        let head = self.window.data();
        let (need, kind) = (length(head), head[1]);
        let Some(forms) = self.forms.narrow(kind, need) else {
            return Err(misfit(self.forms, kind, need));
        };
        if !self.window.fill(need).map_err(Fault::Read)? {
            return Err(Fault::Ends { have: self.window.data().len(), need });
        }
        self.forms = forms;
        self.normalize(need, kind)?;
        self.taken = need;
        self.records += 1;
        Ok(true)
    }

    /// Makes the record at the window's start, which takes `stored` bytes, a bare v3 one.
    #[inline]
    fn normalize(&mut self, stored: usize, kind: u8) -> Result<(), Fault> {
        let bare = if self.forms.ts_out() { stored - form::TS_OUT } else { stored };
        let record = &mut self.window.data_mut()[..bare];
        record[0] = (bare / 4) as u8;
        if kind == rtype::OHLCV_DEPRECATED {
            record[1] = self.bar.ok_or(Fault::Bar)?;
        }
        let version = self.forms.version();
        let upgraded = version < 3 && self.upgrader.upgrade(version, record);
        self.at = if upgraded { At::Upgraded } else { At::Window { length: bare } };
        Ok(())
    }

    /// The record it stands at: bare, DBN v3; empty before the first and after the last.
    #[inline]
    pub fn record(&self) -> &[u8] {
        match self.at {
            At::Window { length } => &self.window.data()[..length],
            At::Upgraded => self.upgrader.record(),
            At::Start | At::End => &[],
        }
    }

    /// When the record it stands at was published, where the file has that.
    pub fn ts_out(&self) -> Option<crate::clock::UnixNanos> {
        let there = self.forms.ts_out() && self.taken >= form::TS_OUT;
        there.then(|| super::record::u64_at(self.window.data(), self.taken - form::TS_OUT))
    }

    /// Gives the record it stands at another instrument id.
    #[inline]
    pub fn set_instrument_id(&mut self, id: u32) {
        let record = match self.at {
            At::Window { .. } => self.window.data_mut(),
            At::Upgraded => self.upgrader.record_mut(),
            At::Start | At::End => return,
        };
        record[4..8].copy_from_slice(&id.to_le_bytes());
    }

    /// What people call it: its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its metadata, as version 3; none of a fragment.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// The version it is stored in: as its metadata says, else the newest that its records so far
    /// agree with.
    pub fn version(&self) -> u8 {
        self.forms.version()
    }

    /// Records so far, the one it stands at included.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How far the file has been read.
    pub fn extent(&self) -> Extent {
        Extent { size: self.size, read: self.read.load(Ordering::Relaxed) }
    }
}

/// Reads what comes before the records.
fn begin(window: &mut Window) -> Result<(Forms, Option<Metadata>), Fault> {
    window.fill(HEADER).map_err(Fault::Read)?;
    let head = window.data();
    match head {
        [] => Err(Fault::Empty),
        [b'D', b'B', b'N', version, ..] if VERSIONS.contains(version) => {
            let version = *version;
            let metadata = metadata(window)?;
            Ok((Forms::only(version, metadata.ts_out), Some(metadata)))
        }
        [b'D', b'B', b'N', version, ..] => Err(Fault::Version(*version)),
        [_, kind, ..] if Forms::ANY.narrow(*kind, length(head)).is_some() => Ok((Forms::ANY, None)),
        _ => Err(Fault::Foreign(source::describe(head))),
    }
}

fn metadata(window: &mut Window) -> Result<Metadata, Fault> {
    let head = window.data();
    let Some(size) = head.get(4..PRELUDE) else {
        return Err(Fault::MetadataEnds { have: head.len(), need: PRELUDE + METADATA_MIN });
    };
    let length = super::record::u32_at(size, 0) as usize;
    if length > METADATA_MAX {
        return Err(Fault::MetadataLong { length, max: METADATA_MAX });
    }
    let bytes = window.take(PRELUDE + length).map_err(Fault::Read)?;
    if bytes.len() < PRELUDE + length {
        return Err(Fault::MetadataEnds { have: bytes.len(), need: PRELUDE + length });
    }
    let mut decoder: DbnFsm = DbnFsm::default();
    decoder.write_all(&bytes);
    match decoder.process() {
        ProcessResult::Metadata(metadata) => Ok(metadata),
        ProcessResult::Err(error) => Err(Fault::Metadata(error.to_string())),
        _ => Err(Fault::Metadata(format!("{length} bytes are too few"))),
    }
}

/// The type of the bars of a schema.
fn bar_of(schema: Schema) -> Option<u8> {
    Some(match schema {
        Schema::Ohlcv1S => rtype::OHLCV_1S,
        Schema::Ohlcv1M => rtype::OHLCV_1M,
        Schema::Ohlcv1H => rtype::OHLCV_1H,
        Schema::Ohlcv1D => rtype::OHLCV_1D,
        Schema::OhlcvEod => rtype::OHLCV_EOD,
        _ => return None,
    })
}

#[cold]
fn misfit(forms: Forms, rtype: u8, length: usize) -> Fault {
    let expected = forms.lengths(rtype);
    if expected.is_empty() { Fault::Type(rtype) } else { Fault::Length { rtype, length, expected } }
}

#[cfg(test)]
mod tests;
