//! Where exported records come from.

use std::path::PathBuf;

use crate::clock::UnixNanos;
use crate::feed::replay::Records;
use crate::feed::source::found_in;
use crate::wire::file::{Contents, Extent};
use crate::wire::instrument::Instrument;

/// Records in the order of their time. One kind of recording, one implementation.
pub(super) trait Source {
    /// What it is known to hold, but for the symbols of all days: those of the instruments are put
    /// in. Start and end are 0 where they are not known.
    fn contents(&self) -> &Contents;

    /// The instruments that are known so far: those that come up later are put behind.
    fn instruments(&self) -> &[Instrument];

    /// Moves on to the next record; false at the end.
    ///
    /// # Errors
    /// What is wrong with the recording, and where.
    fn advance(&mut self) -> Result<bool, String>;

    /// The record it stands at, bare.
    fn record(&self) -> &[u8];

    /// When that was published; there where the contents say `ts_out`.
    fn ts_out(&self) -> Option<UnixNanos>;

    /// Messages that are no market data, left out so far.
    fn skipped(&self) -> u64;

    /// How far it has been read.
    fn extent(&self) -> Extent;
}

impl Source for Records {
    fn contents(&self) -> &Contents {
        self.contents()
    }

    fn instruments(&self) -> &[Instrument] {
        self.instruments()
    }

    fn advance(&mut self) -> Result<bool, String> {
        self.advance().map_err(|error| error.to_string())
    }

    fn record(&self) -> &[u8] {
        self.record()
    }

    fn ts_out(&self) -> Option<UnixNanos> {
        self.ts_out()
    }

    fn skipped(&self) -> u64 {
        self.skipped()
    }

    fn extent(&self) -> Extent {
        self.extent()
    }
}

/// Opens what was named: files, and the DBN files of folders.
///
/// # Errors
/// What can't be read, and why.
pub(super) fn open(named: &[PathBuf]) -> Result<Box<dyn Source>, String> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            files.extend(found_in(path).map_err(|error| error.to_string())?);
        } else {
            files.push(path.clone());
        }
    }
    let records = Records::open(files).map_err(|error| error.to_string())?;
    Ok(Box::new(records))
}
