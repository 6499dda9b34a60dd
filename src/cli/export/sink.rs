//! What an export writes, by the name of its file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::clock::UnixNanos;
use crate::wire::file::{Contents, Draft, WriteError, Writer};
use crate::wire::record::{Schema, publish_into, schema_of};
use crate::wire::{csv, json};

/// Bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Form {
    /// DBN, compressed where the name says so.
    Dbn,
    /// A line a record, with DBN's own columns.
    Csv,
    /// A line a record, as in the `json` encoding.
    JsonLines,
    /// Columns.
    Parquet,
}

impl Form {
    /// What the name of a file asks for.
    ///
    /// # Errors
    /// Where it asks for nothing that is known.
    pub(in crate::cli) fn of(path: &Path) -> Result<Self, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let forms = [
            (".dbn", Self::Dbn),
            (".dbn.zst", Self::Dbn),
            (".csv", Self::Csv),
            (".jsonl", Self::JsonLines),
            (".parquet", Self::Parquet),
        ];
        let form = forms.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, form)| *form);
        form.ok_or_else(|| {
            format!("{name:?} doesn't say how; name it .dbn, .dbn.zst, .csv, .jsonl or .parquet")
        })
    }

    /// What people call it.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Dbn => "DBN",
            Self::Csv => "CSV",
            Self::JsonLines => "JSON lines",
            Self::Parquet => "Parquet",
        }
    }

    /// Has it columns, which are those of one schema?
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Parquet)
    }
}

/// A record on its way out.
pub(super) struct Item<'a> {
    /// Bare, DBN v3.
    pub(super) record: &'a [u8],
    /// There where the contents say so.
    pub(super) ts_out: Option<UnixNanos>,
    pub(super) symbol: &'a str,
}

/// A file in the making.
pub(super) trait Sink {
    /// Appends a record.
    fn write(&mut self, item: &Item<'_>) -> Result<(), WriteError>;

    /// Ends the file, whose contents are these; returns its bytes.
    fn finish(self: Box<Self>, contents: &Contents) -> Result<u64, WriteError>;
}

/// Begins a file. `contents`: what is known of them; those of a table have a schema.
///
/// # Errors
/// [`WriteError`]: a file is there, or none can be written.
pub(super) fn create(
    form: Form,
    path: &Path,
    contents: &Contents,
    replace: bool,
) -> Result<Box<dyn Sink>, WriteError> {
    let ts_out = contents.ts_out;
    Ok(match form {
        Form::Dbn => {
            let writer = Writer::create(path, contents, replace)?;
            Box::new(Dbn { writer, ts_out, published: Vec::new() })
        }
        Form::Csv => {
            let table = csv::Table::new(contents.schema.map_or(0, rtype_of), ts_out);
            let mut lines = Lines::create(path, replace, table)?;
            if let Some(table) = &lines.table {
                table.header(&mut lines.line);
            }
            lines.put()?;
            Box::new(lines)
        }
        Form::JsonLines => Box::new(Lines::create(path, replace, None)?),
        Form::Parquet => super::columns::create(path, contents, replace)?,
    })
}

/// The type of the records of a schema.
pub(super) fn rtype_of(schema: Schema) -> u8 {
    (0..=u8::MAX).find(|rtype| schema_of(*rtype) == Some(schema)).unwrap_or_default()
}

/// A DBN file.
struct Dbn {
    writer: Writer,
    ts_out: bool,
    published: Vec<u8>,
}

impl Sink for Dbn {
    fn write(&mut self, item: &Item<'_>) -> Result<(), WriteError> {
        if !self.ts_out {
            return self.writer.write(item.record);
        }
        self.published.clear();
        publish_into(&mut self.published, item.record, item.ts_out.unwrap_or_default());
        self.writer.write(&self.published)
    }

    fn finish(self: Box<Self>, contents: &Contents) -> Result<u64, WriteError> {
        self.writer.finish(contents)
    }
}

/// A file of lines.
struct Lines {
    draft: Draft,
    out: BufWriter<File>,
    /// Of CSV; JSON has none.
    table: Option<csv::Table>,
    line: Vec<u8>,
}

impl Lines {
    fn create(path: &Path, replace: bool, table: Option<csv::Table>) -> Result<Self, WriteError> {
        let (draft, file) = Draft::create(path, replace)?;
        let out = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { draft, out, table, line: Vec::new() })
    }

    /// Writes the line.
    fn put(&mut self) -> Result<(), WriteError> {
        let written = self.out.write_all(&self.line);
        self.line.clear();
        written.map_err(|reason| WriteError::new(self.draft.path(), reason))
    }
}

impl Sink for Lines {
    fn write(&mut self, item: &Item<'_>) -> Result<(), WriteError> {
        let Item { record, ts_out, symbol } = *item;
        match &self.table {
            Some(table) => table.line(record, ts_out.unwrap_or(0), symbol, &mut self.line),
            None => {
                json::encode_bare(record, ts_out, symbol, &mut self.line);
                self.line.push(b'\n');
            }
        }
        self.put()
    }

    fn finish(self: Box<Self>, _: &Contents) -> Result<u64, WriteError> {
        let Self { draft, out, .. } = *self;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error);
        let file = file.map_err(|reason| WriteError::new(draft.path(), reason))?;
        draft.commit(&file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how() {
        let form = |name: &str| Form::of(Path::new(name)).ok();
        assert_eq!(form("a/ES.mbo.dbn.zst"), Some(Form::Dbn));
        assert_eq!(form("day.csv"), Some(Form::Csv));
        assert_eq!([form("a.dbn"), form("a.jsonl")], [Some(Form::Dbn), Some(Form::JsonLines)]);
        assert_eq!([form("a.csv.zst"), form("dbn"), form("a.txt"), form("..")], [None; 4]);
    }

    #[test]
    fn each_schema_has_a_type() {
        for schema in crate::wire::record::schemas() {
            assert_eq!(schema_of(rtype_of(schema)), Some(schema));
        }
    }
}
