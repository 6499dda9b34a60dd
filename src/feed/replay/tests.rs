//! Replay under a virtual clock.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use dbn::encode::dbn::Encoder;
use dbn::encode::{DbnEncodable, EncodeRecord};
use dbn::{MappingInterval, Metadata, MetadataBuilder, SymbolMapping, SystemMsg};
use tempfile::TempDir;

use super::*;
use crate::clock::SECOND;
use crate::wire::instrument::bit;
use crate::wire::record::{
    self, InstrumentDefMsg, Mbp1Msg, SType, Schema, TradeMsg, bytes_of, header, mapping,
};

/// 2023-11-14 22:13:20 UTC.
const T0: u64 = 1_700_000_000 * SECOND;
const START: u64 = 9_000;
const GLBX: u16 = 1;
const XNAS: u16 = 2;

fn trade(publisher: u16, id: u32, ts: u64) -> TradeMsg {
    let hd = header::<TradeMsg>(rtype::MBP_0, publisher, id, ts);
    TradeMsg { hd, ts_recv: ts, sequence: ts as u32, ..TradeMsg::default() }
}

fn definition(publisher: u16, id: u32, ts: u64, symbol: &str) -> InstrumentDefMsg {
    let mut definition = InstrumentDefMsg {
        hd: header::<InstrumentDefMsg>(rtype::INSTRUMENT_DEF, publisher, id, ts),
        ts_recv: ts,
        min_price_increment: 250_000_000,
        min_lot_size_round_lot: 100,
        ..InstrumentDefMsg::default()
    };
    definition.raw_symbol = dbn::record::str_to_c_chars(symbol).unwrap();
    definition
}

/// Metadata with these mappings: symbol, id, the November days on which it holds.
fn metadata(dataset: &str, schema: Schema, mappings: &[(&str, u32, [u8; 2])]) -> Metadata {
    let mappings = mappings.iter().map(|(symbol, id, days)| SymbolMapping {
        raw_symbol: (*symbol).to_owned(),
        intervals: vec![MappingInterval {
            start_date: time::Date::from_calendar_date(2023, time::Month::November, days[0])
                .unwrap(),
            end_date: time::Date::from_calendar_date(2023, time::Month::November, days[1]).unwrap(),
            symbol: id.to_string(),
        }],
    });
    MetadataBuilder::new()
        .dataset(dataset)
        .schema(Some(schema))
        .start(T0)
        .end(NonZeroU64::new(T0 + SECOND))
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .mappings(mappings.collect())
        .build()
}

fn recordings(paths: &[PathBuf]) -> Vec<Recording> {
    paths.iter().cloned().map(Recording::from).collect()
}

/// Files in a folder of their own.
struct Files {
    folder: TempDir,
    paths: Vec<PathBuf>,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), paths: Vec::new() }
    }

    fn add(&mut self, bytes: &[u8]) {
        let path = self.folder.path().join(format!("{}.dbn", self.paths.len()));
        std::fs::write(&path, bytes).unwrap();
        self.paths.push(path);
    }

    /// Adds a file with metadata.
    fn with<R: DbnEncodable>(mut self, metadata: &Metadata, records: &[R]) -> Self {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, metadata).unwrap().encode_records(records).unwrap();
        self.add(&bytes);
        self
    }

    /// Adds a fragment.
    fn fragment(mut self, records: &[&[u8]]) -> Self {
        self.add(&records.concat());
        self
    }

    fn open(&self, speed: Speed, max_gap: Option<Duration>, looped: bool) -> Replay {
        let options = ReplayOptions {
            files: recordings(&self.paths),
            speed,
            max_gap,
            looped,
            from: None,
            to: None,
        };
        Replay::open(options).unwrap()
    }

    fn at_max(&self) -> Replay {
        self.open(Speed::Max, None, false)
    }
}

/// Polls until the end or until so many records came, at the times it asks for; what came, when.
fn drive(replay: &mut Replay, bytes: usize, most: usize) -> Vec<(u64, Vec<u8>)> {
    let (mut now, mut came) = (START, Vec::new());
    let mut batch = Batch::new(bytes);
    while came.len() < most {
        let next = replay.poll(now, &mut batch).unwrap();
        came.extend(batch.iter().map(|record| (now, record.to_vec())));
        batch.reset(bytes);
        match next {
            Next::Ready => {}
            Next::At(due) => {
                assert!(due > now, "it asks for what was");
                now = due;
            }
            Next::Ended => break,
        }
    }
    came
}

fn records(replay: &mut Replay) -> Vec<Vec<u8>> {
    drive(replay, 64_000, usize::MAX).into_iter().map(|(_, record)| record).collect()
}

/// When each record came, after the start.
fn times(replay: &mut Replay, most: usize) -> Vec<u64> {
    drive(replay, 64_000, most).into_iter().map(|(now, _)| now - START).collect()
}

fn symbols(replay: &mut Replay) -> Vec<(u32, String)> {
    replay.instruments().into_iter().map(|i| (i.id, i.symbol)).collect()
}

fn es() -> Metadata {
    metadata("GLBX.MDP3", Schema::Trades, &[("ESZ3", 7, [1, 30])])
}

fn trades(id: u32, times: &[u64]) -> Vec<TradeMsg> {
    times.iter().map(|ts| trade(GLBX, id, T0 + ts)).collect()
}

#[test]
fn each_record_comes_when_it_is_due() {
    let files = Files::new().with(&es(), &trades(7, &[0, 1_000, 1_001, 40_001]));
    let at = |speed| times(&mut files.open(speed, None, false), usize::MAX);
    assert_eq!(at(Speed::Factor(1.0)), [0, 1_000, 1_001, 40_001]);
    assert_eq!(at(Speed::Factor(0.5)), [0, 2_000, 2_002, 80_002]);
    assert_eq!(at(Speed::Factor(100.0)), [0, 10, 10, 400]);
    assert_eq!(at(Speed::Max), [0, 0, 0, 0]);
    assert_eq!(files.at_max().pace(), Pace::Elastic);
    assert_eq!(files.open(Speed::Factor(2.0), None, false).pace(), Pace::Timed);
}

#[test]
fn long_holes_are_shortened() {
    let files = Files::new().with(&es(), &trades(7, &[0, SECOND, 60 * SECOND, 61 * SECOND]));
    let mut replay = files.open(Speed::Factor(2.0), Some(Duration::from_secs(5)), false);
    let half = SECOND / 2;
    assert_eq!(times(&mut replay, usize::MAX), [0, half, 6 * half, 7 * half]);
}

#[test]
fn a_loop_keeps_its_instruments_and_its_pace() {
    let all = [trade(GLBX, 7, T0), trade(GLBX, 8, T0 + 500)];
    let files = Files::new().with(&es(), &all);
    let mut replay = files.open(Speed::Factor(1.0), None, true);
    assert_eq!(symbols(&mut replay), [(7, "ESZ3".to_owned())]);
    let came = drive(&mut replay, 64_000, 6);
    let ids: Vec<_> = came.iter().map(|(_, r)| (r[1], record::instrument_id(r))).collect();
    let (map, trade) = (rtype::SYMBOL_MAPPING, rtype::MBP_0);
    assert_eq!(ids[..3], [(trade, 7), (map, 8), (trade, 8)]);
    assert_eq!(ids[3..], [(trade, 7), (trade, 8), (trade, 7)]);
    let pass = 500 + LOOP_PAUSE_NS;
    let times: Vec<_> = came.iter().map(|(now, _)| now - START).collect();
    assert_eq!(times, [0, 500, 500, pass, pass + 500, 2 * pass]);
    assert_eq!(replay.progress().records.load(Ordering::Relaxed), 5);
}

#[test]
fn a_loop_over_nothing_ends() {
    let files = Files::new().with::<TradeMsg>(&es(), &[]);
    assert!(records(&mut files.open(Speed::Max, None, true)).is_empty());
}

#[test]
fn files_are_merged_by_time_and_keep_their_own_order() {
    let files = Files::new()
        .with(&es(), &trades(7, &[10, 30, 20, 40]))
        .with(&es(), &trades(7, &[5, 25, 30, 40, 41]));
    let came = records(&mut files.at_max());
    let order: Vec<_> = came.iter().map(|r| record::ts_event(r) - T0).collect();
    assert_eq!(order, [5, 10, 25, 30, 20, 30, 40, 40, 41]);
}

#[test]
fn of_equal_times_the_first_file_is_first() {
    let mut late = trades(7, &[10]);
    late[0].size = 2;
    let files = Files::new().with(&es(), &trades(7, &[10, 10])).with(&es(), &late);
    let came = records(&mut files.at_max());
    const SIZE: usize = std::mem::offset_of!(TradeMsg, size);
    assert_eq!(came.iter().map(|r| r[SIZE]).collect::<Vec<_>>(), [0, 0, 2]);
}

#[test]
fn any_batch_size_brings_the_same() {
    let all: Vec<_> = (0..100).map(|n| trade(GLBX, 7 + n % 9, T0 + u64::from(n))).collect();
    let files = Files::new().with(&es(), &all);
    let whole = drive(&mut files.at_max(), 1 << 18, usize::MAX);
    assert_eq!(whole.len(), 108);
    for bytes in [192, 256, 320, 576] {
        assert_eq!(drive(&mut files.at_max(), bytes, usize::MAX), whole, "{bytes} bytes");
    }
}

#[test]
fn instruments_of_several_datasets_keep_apart() {
    let nasdaq = metadata("XNAS.ITCH", Schema::Mbp1, &[("AAPL", 7, [1, 30]), ("MSFT", 9, [1, 30])]);
    let files = Files::new()
        .with(&es(), &trades(7, &[1]))
        .with(&nasdaq, &[trade(XNAS, 7, T0 + 2), trade(XNAS, 9, T0 + 3)]);
    let mut replay = files.at_max();
    let known = [(7, "ESZ3"), (4_000_000_000, "AAPL"), (9, "MSFT")];
    assert_eq!(symbols(&mut replay), known.map(|(id, symbol)| (id, symbol.to_owned())));
    let mut remapped = trade(XNAS, 7, T0 + 2);
    remapped.hd.instrument_id = 4_000_000_000;
    let expected = [trade(GLBX, 7, T0 + 1), remapped, trade(XNAS, 9, T0 + 3)];
    let expected: Vec<_> = expected.iter().map(|r| bytes_of(r).to_vec()).collect();
    assert_eq!(records(&mut replay), expected);
}

#[test]
fn publishers_of_one_dataset_share_ids_and_others_do_not() {
    let mixed = [trade(40, 7, T0), trade(41, 7, T0 + 1)];
    let shared = Files::new().with(&es(), &mixed);
    assert_eq!(records(&mut shared.at_max()), mixed.map(|r| bytes_of(&r).to_vec()));
    let strangers = [trade(64_001, 7, T0), trade(64_002, 7, T0 + 1)];
    let fragment = Files::new().fragment(&strangers.each_ref().map(bytes_of));
    let mut replay = fragment.at_max();
    assert_eq!(symbols(&mut replay), [(7, "7".into()), (4_000_000_000, "7".into())]);
    let ids: Vec<_> = records(&mut replay).iter().map(|r| record::instrument_id(r)).collect();
    assert_eq!(ids, [7, 4_000_000_000]);
}

#[test]
fn an_id_that_changes_hands_is_two_instruments() {
    let handed =
        metadata("GLBX.MDP3", Schema::Trades, &[("OLD", 7, [14, 15]), ("NEW", 7, [15, 16])]);
    let hour = 3_600 * SECOND;
    let files = Files::new().with(&handed, &trades(7, &[0, hour, 2 * hour]));
    let mut replay = files.at_max();
    assert_eq!(symbols(&mut replay), [(7, "OLD".into()), (4_000_000_000, "NEW".into())]);
    let ids: Vec<_> = records(&mut replay).iter().map(|r| record::instrument_id(r)).collect();
    assert_eq!(ids, [7, 7, 4_000_000_000]);
}

#[test]
fn a_symbol_may_have_several_ids() {
    let rolled =
        metadata("GLBX.MDP3", Schema::Trades, &[("ES.c.0", 7, [14, 15]), ("ES.c.0", 8, [15, 16])]);
    let files = Files::new().with(&rolled, &[trade(GLBX, 7, T0), trade(GLBX, 8, T0 + 1)]);
    let mut replay = files.at_max();
    assert_eq!(symbols(&mut replay), [(7, "ES.c.0".into()), (8, "ES.c.0".into())]);
    assert_eq!(records(&mut replay).len(), 2);
}

#[test]
fn a_fragment_tells_its_instruments_by_what_is_in_it() {
    let trade = trade(GLBX, 7, T0);
    let quote = Mbp1Msg { hd: header::<Mbp1Msg>(rtype::MBP_1, GLBX, 8, T0), ..Mbp1Msg::default() };
    let definition = definition(GLBX, 7, T0 + 1, "ESZ3");
    let files = Files::new().fragment(&[bytes_of(&trade), bytes_of(&quote), bytes_of(&definition)]);
    let mut replay = files.at_max();
    let known = replay.instruments();
    let of = |i: &Instrument| (i.id, i.symbol.clone(), i.tick, i.lot);
    assert_eq!(of(&known[0]), (7, "ESZ3".to_owned(), Some(250_000_000), Some(100)));
    assert_eq!(of(&known[1]), (8, "8".to_owned(), None, None));
    assert_eq!(known[0].schemas, bit(Schema::Trades) | bit(Schema::Definition));
    assert_eq!(known[1].schemas, bit(Schema::Mbp1) | bit(Schema::Tbbo));
}

#[test]
fn mappings_name_and_messages_are_skipped() {
    let system = SystemMsg::heartbeat(T0);
    let old = mapping(0, 7, "OLD", T0);
    let new = mapping(0, 7, "NEW", T0 + 2);
    let (first, second) = (trade(GLBX, 7, T0 + 1), trade(GLBX, 7, T0 + 3));
    let files = Files::new().fragment(&[
        bytes_of(&system),
        bytes_of(&old),
        bytes_of(&first),
        bytes_of(&new),
        bytes_of(&second),
    ]);
    let mut replay = files.at_max();
    assert_eq!(symbols(&mut replay), [(7, "OLD".to_owned())]);
    let came = records(&mut replay);
    assert_eq!(came[0], bytes_of(&first));
    assert_eq!(came[1][1], rtype::SYMBOL_MAPPING);
    assert_eq!(record::instrument_id(&came[2]), 4_000_000_000);
    assert_eq!((came.len(), replay.progress().skipped.load(Ordering::Relaxed)), (3, 1));
}

#[test]
fn damage_is_told_after_what_came_before_it() {
    let mut files = Files::new().with(&es(), &trades(7, &[1, 2, 3]));
    let bytes = std::fs::read(&files.paths[0]).unwrap();
    files.add(&bytes[..bytes.len() - 8]);
    files.paths.remove(0);
    let mut replay = files.at_max();
    let mut batch = Batch::new(6_400);
    let error = replay.poll(START, &mut batch).unwrap_err().to_string();
    assert_eq!(batch.len(), 2);
    let place = format!("record 3 at byte {}", bytes.len() - 48);
    for part in ["1.dbn", &place, "40 of 48 bytes", "2 records were played before it"] {
        assert!(error.contains(part), "{part:?} in {error:?}");
    }
    assert_eq!(replay.poll(START, &mut batch).unwrap(), Next::Ended);
}

#[test]
fn damage_at_the_first_record_is_told_when_it_is_played() {
    let files = Files::new().with(&es(), &trades(7, &[1])).fragment(&[&[12, 0, 1]]);
    let error = files.at_max().poll(START, &mut Batch::new(6_400)).unwrap_err().to_string();
    assert!(error.contains("record 1 at byte 0") && error.contains("; 0 records"), "{error}");
}

#[test]
fn what_can_not_begin_says_why() {
    let open = |files: Vec<PathBuf>, speed| {
        let files = recordings(&files);
        let options = ReplayOptions { files, speed, ..ReplayOptions::default() };
        Replay::open(options).err().unwrap().to_string()
    };
    assert!(open(vec![], Speed::Max).contains("no file"));
    let files = Files::new().with(&es(), &trades(7, &[1]));
    assert!(open(files.paths.clone(), Speed::Factor(0.0)).contains("0.01 to 1000"));
    assert!(open(vec!["/nowhere.dbn".into()], Speed::Max).contains("/nowhere.dbn"));
}
