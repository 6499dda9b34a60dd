//! Reads a recording once and counts what is in it.

use std::collections::BTreeMap;
use std::path::Path;

use foldhash::{HashMap, HashMapExt};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};

use super::activity::Activity;
use super::capture::Capture;
use super::rows::{self, Row};
use crate::cli::export::Form;
use crate::clock::{SECOND, UnixNanos};
use crate::feed::replay::names::{Named, Names, dataset_of};
use crate::feed::replay::scan::{Found, scan};
use crate::feed::source::{Format, Recording, Source};
use crate::wire::file::{FileError, Reader};
use crate::wire::record::{UNDEF_TIMESTAMP, index_ts, rtype, rtype_of, schema_of};

/// Records between two looks at the progress bar.
const BAR_EVERY: u64 = 1 << 16;

/// What is in a file.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    /// Bytes, as it is stored.
    #[serde(serialize_with = "text")]
    pub(super) bytes: u64,
    /// Of another format than DBN: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<&'static str>,
    /// DBN version that it is stored in; 0 where it is no DBN.
    pub(super) version: u8,
    /// Has it metadata?
    pub(super) metadata: bool,
    pub(super) dataset: String,
    #[serde(serialize_with = "text")]
    pub(super) records: u64,
    /// Records by schema; mappings and messages under names of their own.
    #[serde(serialize_with = "texts")]
    pub(super) schemas: BTreeMap<String, u64>,
    /// The busiest first.
    pub(super) instruments: Vec<Instrument>,
    #[serde(flatten)]
    pub(super) times: Times,
    /// What is wrong with it, and where.
    pub(super) damage: Option<String>,
    /// Of a capture: what is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capture: Option<Capture>,
}

/// An instrument of a file.
#[derive(Debug, Serialize)]
pub(super) struct Instrument {
    pub(super) symbol: String,
    pub(super) instrument_id: u32,
    pub(super) publisher_id: u16,
    #[serde(serialize_with = "text")]
    pub(super) records: u64,
}

/// When its records were recorded, and how fast they came.
#[derive(Debug, Default, Serialize)]
pub(super) struct Times {
    /// ns; 0 where no record has a time.
    #[serde(serialize_with = "text")]
    pub(super) first: UnixNanos,
    #[serde(serialize_with = "text")]
    pub(super) last: UnixNanos,
    /// Most records of one second, in the order of the file.
    #[serde(serialize_with = "text")]
    pub(super) peak_second: u64,
    /// Records a second from the first to the last; 0 where they have one time.
    pub(super) mean_rate: f64,
    /// How wide the steps of `activity` are, ns, on the grid of the epoch.
    #[serde(serialize_with = "text")]
    pub(super) step: u64,
    /// Records of each step, from that of the first record to that of the last.
    #[serde(serialize_with = "list")]
    pub(super) activity: Vec<u64>,
    #[serde(skip)]
    pub(super) steps: Activity,
    #[serde(skip)]
    pub(super) second: (u64, u64),
    #[serde(skip)]
    pub(super) timed: u64,
}

impl Report {
    /// Reads a recording as far as it can be read.
    pub(super) fn of(recording: &Recording) -> Self {
        let mut report = Self { file: recording.name(), ..Self::default() };
        let read = match (recording.format, &recording.paths[..]) {
            (Format::Dbn, [path]) => match rows::form_of(path) {
                Some(form) => report.read_rows(form, path),
                None => report.read(path),
            },
            _ => report.read_other(recording),
        };
        if let Err(error) = read {
            report.damage = Some(format!("{}{}", error.place, error.fault));
        }
        report.times.close();
        report.instruments.retain(|instrument| instrument.records > 0);
        report.instruments.sort_by_key(|i| (std::cmp::Reverse(i.records), i.instrument_id));
        report
    }

    /// Of what is no recording.
    pub(super) fn refused(file: &str, why: String) -> Self {
        Self { file: file.to_owned(), damage: Some(why), ..Self::default() }
    }

    fn read(&mut self, path: &Path) -> Result<(), FileError> {
        self.capture = Capture::of(path)?;
        if let Some(capture) = &self.capture {
            self.bytes = capture.bytes;
            return Ok(());
        }
        let mut reader = Reader::open(path)?;
        self.bytes = reader.extent().size;
        self.version = reader.version();
        self.metadata = reader.metadata().is_some();
        self.dataset = reader.metadata().map(|m| m.dataset.clone()).unwrap_or_default();
        let found = if Names::are_missing(&reader) {
            scan(&path.to_owned().into())?
        } else {
            Found::default()
        };
        let read = self.count_all(&mut reader, found);
        self.version = reader.version();
        read
    }

    /// Reads one that is no DBN.
    fn read_other(&mut self, recording: &Recording) -> Result<(), FileError> {
        let mut source = recording.open()?;
        self.format = Some(recording.format.name());
        self.bytes = source.extent().size;
        self.dataset = recording.format.dataset().to_owned();
        let found = if Names::are_missing(&*source) { scan(recording)? } else { Found::default() };
        self.count_all(&mut *source, found)
    }

    /// Reads what an export wrote in rows.
    fn read_rows(&mut self, form: Form, path: &Path) -> Result<(), FileError> {
        let mut rows = rows::open(form, path)?;
        self.format = Some(form.name());
        self.bytes = rows.extent().size;
        let (bar, mut counts, mut places) = (bar(self.bytes), [0; 256], HashMap::new());
        let mut next = rows.next();
        while let Ok(Some(row)) = next {
            counts[usize::from(row.rtype)] += 1;
            self.records += 1;
            self.times.note_at(row.time);
            let Row { publisher_id, instrument_id, symbol, .. } = row;
            // Within a dataset all publishers number alike.
            let realm = dataset_of(publisher_id).ok_or(publisher_id);
            let key = (realm, instrument_id, symbol);
            let place = *places.entry(key).or_insert_with_key(|(_, _, symbol)| {
                let symbol = symbol.clone();
                let records = 0;
                self.instruments.push(Instrument { symbol, instrument_id, publisher_id, records });
                self.instruments.len() - 1
            });
            self.instruments[place].records += 1;
            if self.records.is_multiple_of(BAR_EVERY) {
                bar.set_position(rows.extent().read);
            }
            next = rows.next();
        }
        bar.finish_and_clear();
        self.name_all(&counts);
        next.map(|_| ())
    }

    fn count_all(&mut self, source: &mut dyn Source, found: Found) -> Result<(), FileError> {
        let bar = bar(self.bytes);
        let mut counts = [0; 256];
        let read = self.count(source, found, &mut counts, &bar);
        bar.finish_and_clear();
        self.records = source.records();
        self.name_all(&counts);
        read
    }

    /// The counts of record types, by names.
    fn name_all(&mut self, counts: &[u64; 256]) {
        for (kind, count) in (0..=u8::MAX).zip(counts).filter(|(_, count)| **count > 0) {
            self.schemas.insert(name_of(kind), *count);
        }
    }

    fn count(
        &mut self,
        reader: &mut dyn Source,
        found: Found,
        counts: &mut [u64; 256],
        bar: &ProgressBar,
    ) -> Result<(), FileError> {
        let mut more = reader.advance();
        let mut names = Names::new(reader, found);
        let mut rows = HashMap::new();
        while let Ok(true) = more {
            let record = reader.record();
            counts[usize::from(rtype_of(record))] += 1;
            self.times.note(record);
            match rtype_of(record) {
                rtype::SYSTEM | rtype::ERROR => {}
                rtype::SYMBOL_MAPPING => names.learn(record),
                _ => {
                    let row = self.row(record, &mut names, &mut rows);
                    self.instruments[row as usize].records += 1;
                }
            }
            if reader.records().is_multiple_of(BAR_EVERY) {
                bar.set_position(reader.extent().read);
            }
            more = reader.advance();
        }
        more.map(|_| ())
    }

    /// The place of a record's instrument.
    fn row(
        &mut self,
        record: &[u8],
        names: &mut Names,
        rows: &mut HashMap<(String, u32, String), u32>,
    ) -> u32 {
        let time = index_ts(record);
        if let Some(row) = names.route(record, time) {
            return row;
        }
        let (named, until) = names.name(record, time);
        let Named { realm, publisher, id, symbol, .. } = named;
        let row = *rows.entry((realm, id, symbol.clone())).or_insert_with(|| {
            let (instrument_id, publisher_id) = (id, publisher);
            self.instruments.push(Instrument { symbol, instrument_id, publisher_id, records: 0 });
            self.instruments.len() as u32 - 1
        });
        names.set_route(record, row, until);
        row
    }
}

impl Times {
    fn note(&mut self, record: &[u8]) {
        self.note_at(index_ts(record));
    }

    fn note_at(&mut self, time: UnixNanos) {
        if time == 0 || time == UNDEF_TIMESTAMP {
            return;
        }
        self.first = if self.timed == 0 { time } else { self.first.min(time) };
        self.last = self.last.max(time);
        self.timed += 1;
        self.steps.note(time);
        let (second, count) = self.second;
        self.second =
            if second == time / SECOND { (second, count + 1) } else { (time / SECOND, 1) };
        self.peak_second = self.peak_second.max(self.second.1);
    }

    fn close(&mut self) {
        (self.step, self.activity) = self.steps.counts();
        let span = self.last.saturating_sub(self.first);
        if span > 0 {
            self.mean_rate = self.timed as f64 * SECOND as f64 / span as f64;
        }
    }
}

fn name_of(kind: u8) -> String {
    match kind {
        rtype::SYMBOL_MAPPING => "symbol mappings".to_owned(),
        rtype::SYSTEM => "system messages".to_owned(),
        rtype::ERROR => "error messages".to_owned(),
        _ => schema_of(kind).map_or_else(|| format!("type {kind:#04x}"), |s| s.to_string()),
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// 64-bit numbers are text in JSON: few readers of it hold all of their digits.
pub(super) fn text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn list<S: Serializer>(counts: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(counts.iter().map(u64::to_string))
}

fn texts<S: Serializer>(counts: &BTreeMap<String, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(name, count)| (name, count.to_string())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::wire::record::{TradeMsg, bytes_of, header, mapping};

    fn trade(id: u32, ts: u64) -> TradeMsg {
        let hd = header::<TradeMsg>(rtype::MBP_0, 1, id, ts);
        TradeMsg { hd, ts_recv: ts, ..TradeMsg::default() }
    }

    #[test]
    fn it_counts_what_comes_before_the_damage() {
        let trades = [(7, SECOND), (7, SECOND + 1), (8, 3 * SECOND), (7, 4 * SECOND)];
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes_of(&mapping(1, 7, "ES", SECOND))).unwrap();
        for (id, ts) in trades {
            file.write_all(bytes_of(&trade(id, ts))).unwrap();
        }
        file.write_all(&[12, 0, 0]).unwrap();
        let report = Report::of(&file.path().to_owned().into());
        assert_eq!((report.records, report.version, report.metadata), (5, 3, false));
        let schemas: Vec<_> = report.schemas.into_iter().collect();
        assert_eq!(schemas, [("symbol mappings".to_owned(), 1), ("trades".to_owned(), 4)]);
        let rows: Vec<_> = report.instruments.iter().map(|i| (&*i.symbol, i.records)).collect();
        assert_eq!(rows, [("ES", 3), ("8", 1)]);
        let times = &report.times;
        assert_eq!((times.first, times.last, times.peak_second), (SECOND, 4 * SECOND, 3));
        assert!((times.mean_rate - 5.0 / 3.0).abs() < 1e-9);
        assert_eq!((times.step, times.activity.len()), (50_000_000, 61));
        assert_eq!((times.activity[0], times.activity[40], times.activity[60]), (3, 1, 1));
        assert!(report.damage.unwrap().starts_with("record 6 at byte 368: the file ends"));
    }

    #[test]
    fn json_holds_long_numbers_as_text() {
        let times = Times { first: u64::MAX - 1, ..Times::default() };
        let report = Report { times, schemas: [("mbo".to_owned(), 9)].into(), ..Report::default() };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["first"], (u64::MAX - 1).to_string());
        assert_eq!(json["schemas"]["mbo"], "9");
    }
}
