//! source: a recording of any format as a stream of bare DBN v3 records, in its own order.
//!
//! Replay, `inspect` and `import` know recordings by [`Source`] alone. A DBN file is one as it is;
//! other formats are decoded ([`Decode`]) into what a DBN fragment would hold: mapping records
//! first name an instrument, then come its records.

mod decoded;
mod folder;
mod format;
mod how;
mod stamp;
mod tally;
#[cfg(test)]
pub(super) mod testing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbn::Metadata;

pub(super) use decoded::{Decode, Decoded, Records};
pub use folder::{FolderError, found_in};
pub use format::{Format, UnknownFormat};
pub use how::{How, HowError, Lot};
pub(super) use stamp::{Stamp, last, yes};
pub(super) use tally::CUT;
pub use tally::{Finding, Tally};

use super::{csv, iex, itch, json, lobster, tape};
use crate::clock::UnixNanos;
use crate::wire::file::{Extent, Fault, FileError, Place, Reader};

/// A recording that is read record by record.
pub trait Source: Send {
    /// Moves on to the next record; false at the end.
    ///
    /// # Errors
    /// [`FileError`] where it can't be read further; it then stands at the end.
    fn advance(&mut self) -> Result<bool, FileError>;

    /// The record it stands at: bare, DBN v3; empty before the first and after the last.
    fn record(&self) -> &[u8];

    /// Gives the record it stands at another instrument id.
    fn set_instrument_id(&mut self, id: u32);

    /// When the record it stands at was published, ns, where it has that.
    fn ts_out(&self) -> Option<UnixNanos> {
        None
    }

    /// What it says of itself, where it does.
    fn metadata(&self) -> Option<&Metadata> {
        None
    }

    /// Index times, ns, that its records lie between, where that is known.
    fn span(&self) -> Option<(UnixNanos, UnixNanos)> {
        self.metadata().and_then(|metadata| Some((metadata.start, metadata.end?.get())))
    }

    /// Records so far, the one it stands at included.
    fn records(&self) -> u64;

    /// How far it has read its files.
    fn extent(&self) -> Extent;

    /// What its messages became, where it holds others than records.
    fn tally(&self) -> Option<&Tally> {
        None
    }
}

impl Source for Reader {
    #[inline]
    fn advance(&mut self) -> Result<bool, FileError> {
        Self::advance(self)
    }

    #[inline]
    fn record(&self) -> &[u8] {
        Self::record(self)
    }

    #[inline]
    fn set_instrument_id(&mut self, id: u32) {
        Self::set_instrument_id(self, id);
    }

    fn ts_out(&self) -> Option<UnixNanos> {
        Self::ts_out(self)
    }

    fn metadata(&self) -> Option<&Metadata> {
        Self::metadata(self)
    }

    fn records(&self) -> u64 {
        Self::records(self)
    }

    fn extent(&self) -> Extent {
        Self::extent(self)
    }
}

/// What is named on a command line is not there.
#[derive(Debug, thiserror::Error)]
pub enum NamedError {
    /// A folder without recordings.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no such file, and what stands before a colon may have been meant for a format.
    #[error("there is no such file, and {0}")]
    Absent(UnknownFormat),
}

/// What is to be read: files, what they hold, and what has to be known to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Its format.
    pub format: Format,
    /// One file, or the captures of the lines of one feed.
    pub paths: Vec<PathBuf>,
    /// What its format does not say by itself.
    pub how: Arc<How>,
}

impl From<PathBuf> for Recording {
    fn from(path: PathBuf) -> Self {
        Self { format: Format::of(&path), paths: vec![path], how: Arc::default() }
    }
}

impl Recording {
    /// A recording as it is named on a command line: `FORMAT:FILE`, or `FILE` for DBN, or the
    /// folder of a tape.
    pub fn named(text: &str, how: Arc<How>) -> Self {
        let named = text.split_once(':').and_then(|(format, path)| {
            Some(Self { format: format.parse().ok()?, paths: vec![path.into()], how: how.clone() })
        });
        named.unwrap_or_else(|| Self {
            format: Format::of(Path::new(text)),
            paths: vec![text.into()],
            how,
        })
    }

    /// The same of what is named on a command line, where a folder of DBN files stands for all of
    /// them.
    ///
    /// # Errors
    /// [`NamedError`].
    pub fn all_named(text: &str, how: &Arc<How>) -> Result<Vec<Self>, NamedError> {
        let format = text.split_once(':').map(|(format, _)| format.parse::<Format>());
        if let (Some(Err(unknown)), Ok(false)) = (format, Path::new(text).try_exists()) {
            return Err(NamedError::Absent(unknown));
        }
        let named = Self::named(text, how.clone());
        if named.format != Format::Tape || !Path::new(text).is_dir() {
            return Ok(vec![named]);
        }
        let each = found_in(Path::new(text))?.into_iter();
        Ok(each.map(|path| Self { how: how.clone(), ..Self::from(path) }).collect())
    }

    /// Its files, for people.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        names.join(" and ")
    }

    /// Opens it. It stands before its first record.
    ///
    /// # Errors
    /// [`FileError`] where it can't be opened, is of another format, or something has to be known
    /// that was not given.
    pub fn open(&self) -> Result<Box<dyn Source>, FileError> {
        match (self.format, self.paths.as_slice()) {
            (Format::Dbn, [path]) => Ok(Box::new(Reader::open(path)?)),
            (Format::Itch, _) => itch::open(self),
            (Format::Iex, _) => iex::open(self),
            (Format::BinanceSpot | Format::BinanceUsdm | Format::Coinbase, [path]) => {
                json::open(self, path)
            }
            (Format::Lobster, [path]) => lobster::open(self, path),
            (Format::Csv, [path]) => csv::open(self, path),
            (Format::Tape, [path]) => tape::open(self, path),
            _ => Err(self.fault("lines are put together of captures alone; give one file")),
        }
    }

    /// An error about all of it.
    pub(super) fn fault(&self, reason: &str) -> FileError {
        let fault = Fault::Format(reason.to_owned());
        FileError { file: self.name(), place: Place::File, fault }
    }
}
