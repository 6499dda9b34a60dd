//! Where exported records come from.

use std::path::{Path, PathBuf};

use crate::clock::UnixNanos;
use crate::feed::replay::Records;
use crate::wire::file::Contents;
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

    /// How much of it was read, and of how much, bytes.
    fn progress(&self) -> (u64, u64);
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

    fn progress(&self) -> (u64, u64) {
        self.progress()
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
            files.extend(folder(path)?);
        } else {
            files.push(path.clone());
        }
    }
    let records = Records::open(files).map_err(|error| error.to_string())?;
    Ok(Box::new(records))
}

/// Has a server recorded to this folder?
fn is_tape(folder: &Path) -> bool {
    let tape = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "tape");
    std::fs::read_dir(folder).is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(tape)))
}

/// The DBN files of a folder, by name; the folder itself where it is a tape.
fn folder(path: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut files = Vec::new();
    if is_tape(path) {
        return Ok(vec![path.to_owned()]);
    }
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hidden = name.starts_with('.');
        if !hidden && (name.ends_with(".dbn") || name.ends_with(".dbn.zst")) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(format!("{}: no tape in it, no .dbn or .dbn.zst file", path.display()));
    }
    files.sort();
    Ok(files)
}
