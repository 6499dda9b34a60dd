//! Files as one stream of records, each as it is, without pace: what a conversion reads.
//!
//! Merged by index time, with one id for each instrument, as a replay of the same files has them.

use std::path::PathBuf;
use std::sync::Arc;

use super::identity::{Identities, announce};
use super::merge::{Merge, time_of};
use super::names::Names;
use super::options::ReplayError;
use super::scan;
use crate::clock::UnixNanos;
use crate::feed::source::{How, Recording};
use crate::wire::file::{Contents, Extent, FileError, Span};
use crate::wire::instrument::{Instrument, schemas_of};
use crate::wire::record::{Schema, rtype, rtype_of};

/// DBN files that are read.
pub struct Records {
    merge: Merge,
    names: Vec<Names>,
    ids: Identities,
    known: Vec<Instrument>,
    contents: Contents,
    /// The file that is at the record.
    at: Option<usize>,
    skipped: u64,
}

impl Records {
    /// Opens the files; looks through those whose metadata doesn't tell their instruments.
    ///
    /// # Errors
    /// [`ReplayError`]: no file, or one that is no DBN.
    pub fn open(files: Vec<PathBuf>) -> Result<Self, ReplayError> {
        Self::open_within(files, None, None)
    }

    /// The same, where nothing before an index time, and nothing from another one on, is wanted:
    /// such records may be left out, and of a tape most of them are not even read.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn open_within(
        files: Vec<PathBuf>,
        from: Option<UnixNanos>,
        to: Option<UnixNanos>,
    ) -> Result<Self, ReplayError> {
        if files.is_empty() {
            return Err(ReplayError::NoFiles);
        }
        let how = Arc::new(How { from, to, ..How::default() });
        let recording = |path| Recording { how: how.clone(), ..Recording::from(path) };
        let merge = Merge::open(files.into_iter().map(recording).collect())?;
        let mut names = Vec::new();
        for (source, recording) in merge.sources().iter().zip(merge.recordings()) {
            let missing = Names::are_missing(&**source);
            let found = if missing { scan::scan(recording)? } else { scan::Found::default() };
            names.push(Names::new(&**source, found));
        }
        let mut ids = Identities::default();
        let known = announce(&mut ids, names.iter().flat_map(Names::all).collect());
        let contents = Contents { spans: spans(&names, &ids), ..contents(&merge, &known) };
        Ok(Self { merge, names, ids, known, contents, at: None, skipped: 0 })
    }

    /// What the files are known to hold, but for their symbols that have no days: see
    /// [`Records::instruments`]. Start and end are 0 where they don't say.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The instruments that are known so far: those that come up later are put behind.
    pub fn instruments(&self) -> &[Instrument] {
        &self.known
    }

    /// Moves on to the next record; false at the end.
    ///
    /// # Errors
    /// A file that is damaged where the record was to be.
    pub fn advance(&mut self) -> Result<bool, FileError> {
        loop {
            if self.at.take().is_some() {
                self.merge.advance();
            }
            let Some(file) = self.merge.head()? else { return Ok(false) };
            self.at = Some(file);
            let record = self.merge.source(file).record();
            match rtype_of(record) {
                rtype::SYSTEM | rtype::ERROR => self.skipped += 1,
                rtype::SYMBOL_MAPPING => self.names[file].learn(record),
                _ => {
                    let id = self.id(file);
                    self.merge.source_mut(file).set_instrument_id(id);
                    return Ok(true);
                }
            }
        }
    }

    /// The id under which the record goes that a file is at.
    #[inline]
    fn id(&mut self, file: usize) -> u32 {
        let record = self.merge.source(file).record();
        let time = time_of(record).unwrap_or_default();
        if let Some(id) = self.names[file].route(record, time) {
            return id;
        }
        let (named, until) = self.names[file].name(record, time);
        let id = self.ids.get(&named).unwrap_or_else(|| {
            let instrument = self.ids.propose(&named);
            let id = instrument.id;
            self.ids.confirm(&named, id);
            self.known.push(instrument);
            id
        });
        self.names[file].set_route(record, id, until);
        id
    }

    /// The record it stands at: bare, DBN v3.
    pub fn record(&self) -> &[u8] {
        self.at.map_or(&[], |file| self.merge.source(file).record())
    }

    /// When the record it stands at was published, where its file has that.
    pub fn ts_out(&self) -> Option<UnixNanos> {
        self.merge.source(self.at?).ts_out()
    }

    /// System and error messages left out so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How far the files have been read.
    pub fn extent(&self) -> Extent {
        self.merge.extent()
    }
}

/// On which days ids stand for their symbols, as metadata says.
fn spans(names: &[Names], ids: &Identities) -> Vec<Span> {
    let all = names.iter().flat_map(Names::spans).filter_map(|(named, start, end)| {
        Some(Span { id: ids.get(&named)?, symbol: named.symbol, start, end })
    });
    let mut spans: Vec<Span> = all.collect();
    spans.sort_by(|a, b| (&a.symbol, a.start, a.id, a.end).cmp(&(&b.symbol, b.start, b.id, b.end)));
    spans.dedup();
    spans
}

/// What metadata and a look through the files tell.
fn contents(merge: &Merge, known: &[Instrument]) -> Contents {
    let metadata = || merge.sources().iter().filter_map(|reader| reader.metadata());
    let all_say = metadata().count() == merge.sources().len();
    let starts = metadata().map(|m| m.start);
    let ends = metadata().map(|m| m.end.map_or(0, std::num::NonZeroU64::get));
    let end = if ends.clone().all(|end| end > 0) { ends.max() } else { None };
    let told = metadata().map(|m| m.schema).next();
    let alike = metadata().all(|m| m.schema.is_some() && Some(m.schema) == told);
    let schemas = known.iter().fold(0, |all, instrument| all | instrument.schemas);
    Contents {
        dataset: metadata().map(|m| m.dataset.clone()).next().unwrap_or_default(),
        schema: told.filter(|_| all_say && alike).unwrap_or_else(|| single(schemas)),
        start: starts.min().filter(|_| all_say).unwrap_or(0),
        end: end.filter(|_| all_say).unwrap_or(0),
        ts_out: merge.sources().iter().all(|reader| reader.ts_out().is_some()),
        ..Contents::default()
    }
}

/// The one schema of a mask. `tbbo` records are `mbp-1` ones.
fn single(schemas: u32) -> Option<Schema> {
    let mut all = schemas_of(schemas);
    match (all.next(), all.next(), all.next()) {
        (one, None, None) => one,
        (Some(Schema::Mbp1), Some(Schema::Tbbo), None) => Some(Schema::Mbp1),
        _ => None,
    }
}
