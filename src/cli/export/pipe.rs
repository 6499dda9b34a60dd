//! From a source through the filter, with what is derived, into a sink.

use std::collections::HashMap;
use std::path::Path;

use super::progress::Progress;
use super::sink::{self, Form, Item, Sink};
use super::source::Source;
use crate::book::Faults;
use crate::cli::Early;
use crate::clock::UnixNanos;
use crate::feed::{Batch, Deriver};
use crate::limits::BATCH_BYTES;
use crate::wire::file::{Contents, WriteError};
use crate::wire::filter::Filter;
use crate::wire::instrument::{Instrument, schemas_of};
use crate::wire::record::{Schema, index_ts, instrument_id};

/// What is to be done.
pub(super) struct Plan {
    pub(super) form: Form,
    pub(super) filter: Filter,
    /// Add what follows from the records.
    pub(super) derive: bool,
    /// Replace a file that is there.
    pub(super) force: bool,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Exported {
    /// Records written.
    pub(super) records: u64,
    /// Records of the source that were not.
    pub(super) left_out: u64,
    /// Messages that are no market data.
    pub(super) skipped: u64,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// What was wrong with the orders that books were derived from.
    pub(super) faults: Faults,
}

/// Exports all that a source brings.
///
/// # Errors
/// What is wrong with the source, the disk or what is asked for; no file is written then.
pub(super) fn run(
    mut source: Box<dyn Source>,
    mut plan: Plan,
    output: &Path,
) -> Result<Exported, Early> {
    let failed = |error: WriteError| Early::Failed(error.to_string());
    let mut contents = contents(source.as_ref(), &plan);
    if plan.form.is_table() {
        let schema = contents.schema.ok_or_else(|| several(source.as_ref()))?;
        plan.filter.only(schema);
    }
    let sink = sink::create(plan.form, output, &contents, plan.force).map_err(failed)?;
    let mut out =
        Out { sink, symbols: HashMap::default(), filter: plan.filter, times: None, records: 0 };
    let mut derived = plan.derive.then(|| Derived::new(out.filter.schemas()));
    let mut progress = Progress::new(source.extent().size);
    let (mut known, mut left_out) = (0, 0);
    while source.advance().map_err(Early::Failed)? {
        progress.note(|| source.extent().read);
        for new in &source.instruments()[known..] {
            out.symbols.insert(new.id, new.symbol.clone());
        }
        known = source.instruments().len();
        let (record, ts_out) = (source.record(), source.ts_out());
        if !out.has_instrument(record) {
            left_out += 1;
            continue;
        }
        let written = match &mut derived {
            Some(derived) => derived.put(record, ts_out, &mut out),
            None => out.put(record, ts_out).map(|put| left_out += u64::from(!put)),
        };
        written.map_err(failed)?;
    }
    let mut faults = Faults::default();
    if let Some(derived) = &mut derived {
        derived.finish(&mut out).map_err(failed)?;
        (faults, left_out) = (derived.deriver.faults(), left_out + derived.left_out);
    }
    drop(progress);
    out.complete(&mut contents, source.instruments());
    let (records, skipped) = (out.records, source.skipped());
    let bytes = out.sink.finish(&contents).map_err(failed)?;
    Ok(Exported { records, left_out, skipped, bytes, faults })
}

/// What the file will hold, as far as that is known now.
fn contents(source: &dyn Source, plan: &Plan) -> Contents {
    let contents = plan.filter.narrow(source.contents(), source.instruments());
    let own = source.contents().schema.filter(|_| !plan.derive);
    Contents { schema: plan.filter.schema().or(own), ..contents }
}

fn several(source: &dyn Source) -> Early {
    let mask = source.instruments().iter().fold(0, |all, instrument| all | instrument.schemas);
    let there = schemas_of(mask);
    let there: Vec<&str> = there.map(|schema: Schema| schema.as_str()).collect();
    let there = if there.is_empty() { "none known".to_owned() } else { there.join(", ") };
    Early::Usage(format!("a table holds one schema: choose it with --schema (here: {there})"))
}

/// The way out.
struct Out {
    sink: Box<dyn Sink>,
    symbols: HashMap<u32, String, foldhash::fast::FixedState>,
    filter: Filter,
    /// Index times of the first and the last record written.
    times: Option<(UnixNanos, UnixNanos)>,
    records: u64,
}

impl Out {
    #[inline]
    fn has_instrument(&mut self, record: &[u8]) -> bool {
        let symbol = self.symbols.get(&instrument_id(record)).map_or("", String::as_str);
        self.filter.has_instrument(record, symbol)
    }

    /// Writes a record where it is asked for; was it?
    #[inline]
    fn put(&mut self, record: &[u8], ts_out: Option<UnixNanos>) -> Result<bool, WriteError> {
        if !self.filter.has(record) {
            return Ok(false);
        }
        let symbol = self.symbols.get(&instrument_id(record)).map_or("", String::as_str);
        self.sink.write(&Item { record, ts_out, symbol })?;
        let time = index_ts(record);
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
        self.records += 1;
        Ok(true)
    }

    /// Puts into the contents what is known only now.
    fn complete(&self, contents: &mut Contents, known: &[Instrument]) {
        let (first, last) = self.times.unwrap_or_default();
        if contents.start == 0 {
            contents.start = first;
        }
        if contents.end == 0 {
            contents.end = last.saturating_add(1);
        }
        contents.symbols = self.filter.always(contents, known);
    }
}

/// What follows from the records.
struct Derived {
    deriver: Deriver,
    batch: Batch,
    ts_out: Option<UnixNanos>,
    left_out: u64,
}

impl Derived {
    fn new(schemas: u32) -> Self {
        let (deriver, batch) = (Deriver::new(schemas), Batch::new(BATCH_BYTES));
        Self { deriver, batch, ts_out: None, left_out: 0 }
    }

    /// Writes a record, what it is too late for before it, and what follows from it behind it.
    fn put(
        &mut self,
        record: &[u8],
        ts_out: Option<UnixNanos>,
        out: &mut Out,
    ) -> Result<(), WriteError> {
        self.ts_out = ts_out;
        while !self.deriver.observe(record, &mut self.batch) {
            self.flush(out)?;
        }
        self.flush(out)?;
        self.left_out += u64::from(!out.put(record, ts_out)?);
        while !self.deriver.follow(&mut self.batch) {
            self.flush(out)?;
        }
        self.flush(out)
    }

    fn finish(&mut self, out: &mut Out) -> Result<(), WriteError> {
        while !self.deriver.finish(&mut self.batch) {
            self.flush(out)?;
        }
        self.flush(out)
    }

    fn flush(&mut self, out: &mut Out) -> Result<(), WriteError> {
        for record in self.batch.iter() {
            out.put(record, self.ts_out)?;
        }
        self.batch.clear();
        Ok(())
    }
}
