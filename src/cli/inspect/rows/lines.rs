//! Rows that are lines of text.

use std::path::Path;

use serde::Deserialize;

use super::{Row, Rows, index_time};
use crate::clock::UnixNanos;
use crate::feed::csv::fields;
use crate::wire::file::{Extent, Fault, FileError, Input, Place};
use crate::wire::when::When;

/// A file of CSV, its header read.
pub(super) struct Csv {
    input: Input,
    columns: Columns,
}

/// Where in a line what is wanted stands.
struct Columns {
    count: usize,
    ts_recv: Option<usize>,
    ts_event: usize,
    rtype: usize,
    publisher_id: usize,
    instrument_id: usize,
    symbol: usize,
}

impl Columns {
    fn of(header: &[String]) -> Result<Self, String> {
        let found = |name: &str| header.iter().position(|column| column == name);
        let place = |name: &str| {
            found(name).ok_or_else(|| {
                format!(
                    "is no header of an export: it has no {name}; for CSV of others write \
                     csv:FILE with --mapping"
                )
            })
        };
        Ok(Self {
            count: header.len(),
            ts_recv: found("ts_recv"),
            ts_event: place("ts_event")?,
            rtype: place("rtype")?,
            publisher_id: place("publisher_id")?,
            instrument_id: place("instrument_id")?,
            symbol: place("symbol")?,
        })
    }

    fn row(&self, mut fields: Vec<String>) -> Result<Row, String> {
        if fields.len() != self.count {
            return Err(format!("has {} fields; its header has {}", fields.len(), self.count));
        }
        let received = self.ts_recv.map(|at| time(&fields[at])).transpose()?.flatten();
        let event = time(&fields[self.ts_event])?;
        Ok(Row {
            rtype: number("rtype", &fields[self.rtype])?,
            time: index_time(received, event),
            publisher_id: number("publisher_id", &fields[self.publisher_id])?,
            instrument_id: number("instrument_id", &fields[self.instrument_id])?,
            symbol: fields.swap_remove(self.symbol),
        })
    }
}

impl Csv {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let mut input = Input::open(path)?;
        let header = match fields_of(&mut input)? {
            Some(header) => Columns::of(&header),
            None => Err("is empty".to_owned()),
        };
        let columns = header.map_err(|reason| wrong(&input, reason))?;
        Ok(Self { input, columns })
    }
}

impl Rows for Csv {
    fn next(&mut self) -> Result<Option<Row>, FileError> {
        let Some(fields) = fields_of(&mut self.input)? else { return Ok(None) };
        self.columns.row(fields).map(Some).map_err(|reason| wrong(&self.input, reason))
    }

    fn extent(&self) -> Extent {
        self.input.extent()
    }
}

/// A file of JSON lines.
pub(super) struct Json {
    input: Input,
}

/// A line, as far as it is wanted.
#[derive(Deserialize)]
struct Line {
    ts_recv: Option<String>,
    hd: Head,
    symbol: String,
}

#[derive(Deserialize)]
struct Head {
    ts_event: Option<String>,
    rtype: u8,
    publisher_id: u16,
    instrument_id: u32,
}

impl Json {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self { input: Input::open(path)? })
    }
}

impl Rows for Json {
    fn next(&mut self) -> Result<Option<Row>, FileError> {
        let Some(line) = self.input.line()? else { return Ok(None) };
        let parsed = serde_json::from_slice::<Line>(&self.input.data()[..line.length]);
        self.input.consume(line.taken);
        let row = parsed.map_err(|error| {
            let (words, column) = (error.to_string(), error.column());
            let words = words.split(" at line ").next().unwrap_or_default();
            format!("is no record of an export: {words}, in column {column}")
        });
        let row = row.and_then(|Line { ts_recv, hd, symbol }| {
            let [received, event] =
                [ts_recv, hd.ts_event].map(|text| time(text.as_deref().unwrap_or_default()));
            let Head { rtype, publisher_id, instrument_id, .. } = hd;
            let time = index_time(received?, event?);
            Ok(Row { rtype, time, publisher_id, instrument_id, symbol })
        });
        row.map(Some).map_err(|reason| wrong(&self.input, reason))
    }

    fn extent(&self) -> Extent {
        self.input.extent()
    }
}

/// The fields of the next line. One without an end may be cut within its last field.
fn fields_of(input: &mut Input) -> Result<Option<Vec<String>>, FileError> {
    let Some(line) = input.line()? else { return Ok(None) };
    let text = std::str::from_utf8(&input.data()[..line.length]);
    let fields = text
        .map_err(|error| format!("is not UTF-8 from byte {} on", error.valid_up_to()))
        .and_then(|text| fields::split(text, ','));
    let ended = line.taken > line.length;
    let fields = fields.and_then(|fields| {
        ended.then_some(fields).ok_or_else(|| "has no line end: it may be cut".to_owned())
    });
    input.consume(line.taken);
    fields.map(Some).map_err(|reason| wrong(input, reason))
}

/// An error of the line that was read last.
fn wrong(input: &Input, reason: String) -> FileError {
    input.fault(Place::Line(input.lines()), Fault::Format(reason))
}

/// A time; none where nothing stands for it.
fn time(text: &str) -> Result<Option<UnixNanos>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let time = text.parse::<When>().map_err(|_| format!("has {text:?} where a time should be"))?;
    Ok(Some(time.0))
}

fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("has {text:?} for its {name}"))
}
