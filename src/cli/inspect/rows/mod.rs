//! Rows that `broadtape export` wrote, as CSV, JSON lines or Parquet: as much as a report needs.

#[cfg(not(feature = "parquet"))]
#[path = "no_columns.rs"]
mod columns;
#[cfg(feature = "parquet")]
mod columns;
mod lines;

use std::path::Path;

use crate::cli::export::Form;
use crate::clock::UnixNanos;
use crate::wire::file::{Extent, FileError};
use crate::wire::record::UNDEF_TIMESTAMP;

/// What a report has to know of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its record type.
    pub(super) rtype: u8,
    /// Its index time, ns; 0 where it has none.
    pub(super) time: UnixNanos,
    pub(super) publisher_id: u16,
    pub(super) instrument_id: u32,
    pub(super) symbol: String,
}

/// A file of rows.
pub(super) trait Rows {
    /// The next row; none at the end.
    ///
    /// # Errors
    /// [`FileError`] where it can't be read further.
    fn next(&mut self) -> Result<Option<Row>, FileError>;

    /// How far it has been read.
    fn extent(&self) -> Extent;
}

/// The form of rows that the name of a file says, compressed or not; none where it says another.
pub(super) fn form_of(path: &Path) -> Option<Form> {
    let ending = path.extension().unwrap_or_default();
    let packed = ["zst", "gz", "xz"].iter().any(|packing| ending == *packing);
    let plain = if packed { path.with_extension("") } else { path.to_owned() };
    Form::of(&plain).ok().filter(|form| *form != Form::Dbn)
}

/// Opens a file of rows.
///
/// # Errors
/// [`FileError`] where it can't be opened, or is none that `export` writes.
pub(super) fn open(form: Form, path: &Path) -> Result<Box<dyn Rows>, FileError> {
    match form {
        Form::Csv => Ok(Box::new(lines::Csv::open(path)?)),
        Form::Parquet => columns::open(path),
        Form::JsonLines | Form::Dbn => Ok(Box::new(lines::Json::open(path)?)),
    }
}

/// The index time of these two, as of a record: that of its receipt, where it has one.
fn index_time(received: Option<UnixNanos>, event: Option<UnixNanos>) -> UnixNanos {
    received.or(event).filter(|time| *time != UNDEF_TIMESTAMP).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_rows() {
        let form = |name: &str| form_of(Path::new(name));
        assert_eq!([form("a.csv"), form("a/b.csv.zst")], [Some(Form::Csv); 2]);
        assert_eq!([form("a.jsonl"), form("a.jsonl.gz")], [Some(Form::JsonLines); 2]);
        assert_eq!(form("day.parquet"), Some(Form::Parquet));
        assert_eq!([form("a.dbn"), form("a.dbn.zst"), form("a.zst"), form("csv")], [None; 4]);
    }
}
