//! From a source through the filter, with what is derived, into a sink.

use std::collections::HashMap;
use std::path::Path;

use super::progress::Progress;
use super::sink::{self, Form, Item, Sink};
use super::source::Source;
use crate::book::Faults;
use crate::cli::Early;
use crate::clock::UnixNanos;
use crate::derive::Pipe;
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
    /// Symbols and patterns that nothing in the source has.
    pub(super) unmet: Vec<String>,
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
    let mut derived = plan.derive.then(|| Pipe::new(out.filter.schemas()));
    let mut progress = Progress::new(source.extent().size);
    let (mut known, mut left_out, mut last) = (0, 0, None);
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
        last = ts_out;
        if let Some(pipe) = &mut derived {
            pipe.before(record, |made| out.put(made, ts_out).map(drop)).map_err(failed)?;
        }
        left_out += u64::from(!out.put(record, ts_out).map_err(failed)?);
        if let Some(pipe) = &mut derived {
            pipe.behind(|made| out.put(made, ts_out).map(drop)).map_err(failed)?;
        }
    }
    let mut faults = Faults::default();
    if let Some(pipe) = &mut derived {
        pipe.end(|made| out.put(made, last).map(drop)).map_err(failed)?;
        faults = pipe.deriver.faults();
    }
    drop(progress);
    out.complete(&mut contents, source.instruments());
    let (records, skipped) = (out.records, source.skipped());
    let unmet = out.filter.unmet(source.contents(), source.instruments());
    let bytes = out.sink.finish(&contents).map_err(failed)?;
    Ok(Exported { records, left_out, skipped, unmet, bytes, faults })
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
