//! Recorded DBN files through the reader, against the official decoder.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broadtape::feed::replay::{Replay, ReplayOptions, Speed};
use broadtape::feed::source::Recording;
use broadtape::feed::{Batch, Feed, Next};
use broadtape::wire::file::{Fault, Reader};
use broadtape::wire::json;
use broadtape::wire::record::{self, publish_into};
use dbn::decode::dbn::fsm::DbnFsm;
use dbn::decode::dbn::{Decoder, RecordDecoder};
use dbn::encode::{EncodeRecordTextExt, json as official_json};
use dbn::{
    BboMsg, CbboMsg, Cmbp1Msg, ImbalanceMsg, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg,
    RecordRef, Schema, StatMsg, StatusMsg, TradeMsg, WithTsOut, rtype,
};

/// The folder of recorded data; none where it is absent, which only CI takes for a failure.
fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BROADTAPE_DATA").map_or_else(beside, PathBuf::from);
    if folder.join("README.md").exists() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no recorded data in {folder:?}");
    println!("skipped: no recorded data");
    None
}

/// Every file of a folder that is DBN by its name, legacy ones apart.
fn dbn_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().contains(".dbn"));
    files.sort();
    files
}

/// A file as our reader has it: its records, one after the other.
fn read(file: &Path) -> Vec<Vec<u8>> {
    let mut reader = Reader::open(file).unwrap();
    let mut records = Vec::new();
    while reader.advance().unwrap() {
        records.push(reader.record().to_vec());
    }
    assert_eq!(reader.records(), records.len() as u64);
    assert_eq!(reader.extent().read, reader.extent().size);
    records
}

/// Calls `each` with the records that the official decoder finds in a file.
fn official(file: &Path, mut each: impl FnMut(RecordRef)) {
    let name = file.to_string_lossy();
    let raw = std::fs::File::open(file).unwrap();
    let stream: Box<dyn std::io::Read> = match name.ends_with(".zst") {
        true => Box::new(zstd::stream::read::Decoder::new(raw).unwrap()),
        false => Box::new(raw),
    };
    if name.contains(".frag") {
        // No version is told, so that the decoder infers it from lengths as ours does.
        let fsm = DbnFsm::builder().skip_metadata(true).build().unwrap();
        let mut decoder = RecordDecoder::with_fsm(stream, fsm);
        while let Some(record) = decoder.decode_ref().unwrap() {
            each(record);
        }
    } else {
        let mut decoder = Decoder::new(stream).unwrap();
        while let Some(record) = decoder.decode_ref().unwrap() {
            each(record);
        }
    }
}

fn official_records(file: &Path) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    official(file, |record| records.push(record.as_ref().to_vec()));
    records
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    [dbn_files(folder), dbn_files(&folder.join("dbn"))].concat()
}

#[test]
fn every_file_reads_as_the_official_decoder_reads_it() {
    let Some(folder) = data() else { return };
    let files = all_files(&folder);
    assert!(files.len() > 60, "{} files", files.len());
    for file in files {
        let (ours, theirs) = (read(&file), official_records(&file));
        assert!(ours == theirs, "{}: {} and {}", file.display(), ours.len(), theirs.len());
    }
}

/// What the official encoder prints for a record.
fn official_line(record: RecordRef, symbol: &str, ts_out: u64) -> String {
    let mut out = Vec::new();
    let mut encoder = official_json::Encoder::new(&mut out, false, true, true);
    macro_rules! encode {
        ($($record:ty),*) => {
            $(if let Some(record) = record.get::<$record>() {
                let record = WithTsOut::new(record.clone(), ts_out);
                encoder.encode_record_with_sym(&record, Some(symbol)).unwrap();
            })*
        };
    }
    encode!(
        MboMsg,
        TradeMsg,
        Mbp1Msg,
        Mbp10Msg,
        BboMsg,
        Cmbp1Msg,
        CbboMsg,
        OhlcvMsg,
        StatusMsg,
        InstrumentDefMsg,
        ImbalanceMsg,
        StatMsg
    );
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

#[test]
fn every_record_prints_as_the_official_encoder_prints_it() {
    let Some(folder) = data() else { return };
    let (mut published, mut line) = (Vec::new(), Vec::new());
    for file in all_files(&folder) {
        let mut ts_out = 1_719_878_280_000_000_001;
        official(&file, |record| {
            ts_out += 1_000_003;
            published.clear();
            publish_into(&mut published, record.as_ref(), ts_out);
            line.clear();
            json::encode(&published, "ES/H4", &mut line);
            let expected = official_line(record, "ES/H4", ts_out);
            assert_eq!(std::str::from_utf8(&line).unwrap(), expected, "{}", file.display());
        });
    }
}

#[test]
fn the_order_file_holds_what_is_known_of_it() {
    let Some(folder) = data() else { return };
    let records = read(&folder.join("esh4-glbx-mdp3-20231225.mbo.dbn.zst"));
    const ACTION: usize = std::mem::offset_of!(MboMsg, action);
    const FLAGS: usize = std::mem::offset_of!(MboMsg, flags);
    assert_eq!(records.len(), 68_792);
    let of = |action: u8| records.iter().filter(|r| r[ACTION] == action).count();
    assert_eq!([b'A', b'M', b'C', b'T', b'F'].map(of), [29_216, 12_233, 17_999, 2_973, 6_371]);
    assert_eq!(records.iter().filter(|r| r[FLAGS] & dbn::flags::SNAPSHOT != 0).count(), 8_725);
}

#[test]
fn the_trades_are_those_of_the_quotes() {
    let Some(folder) = data() else { return };
    let quotes = read(&folder.join("databento_ESU4_mbp-1_2024-07-01T2358.dbn.zst"));
    let trades = read(&folder.join("databento_ESU4_trades_2024-07-01T2358.dbn.zst"));
    let key = |r: &Vec<u8>| (record::ts_event(r), r[16..30].to_vec(), record::u64_at(r, 32));
    let traded: Vec<_> = quotes.iter().filter(|r| record::is_tbbo(r)).map(key).collect();
    assert_eq!((quotes.len(), trades.len()), (2_288, 120));
    assert!(trades.iter().all(|r| record::rtype_of(r) == rtype::MBP_0));
    assert_eq!(trades.iter().map(key).collect::<Vec<_>>(), traded);
}

#[test]
fn legacy_and_foreign_files_are_refused_by_name() {
    let Some(folder) = data() else { return };
    let legacy = Reader::open(&folder.join("dbn/test_data.mbo.dbz")).err().unwrap();
    assert!(matches!(legacy.fault, Fault::Legacy), "{legacy}");
    for name in ["cme_mdp3_ab_feed_20161112.pcap", "binance_spot_btcusdt_20240808.gz"] {
        let foreign = Reader::open(&folder.join(name)).err().unwrap();
        assert!(foreign.to_string().contains(name) && matches!(foreign.fault, Fault::Foreign(_)));
    }
}

#[test]
fn before_the_colon_of_a_name_that_is_not_there_a_format_may_have_been_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a:b.dbn");
    let named = |text: &str| Recording::all_named(text, &Arc::default());
    let told = named("foo:nowhere.dbn").unwrap_err().to_string();
    assert!(told.starts_with("there is no such file, and \"foo\" is no format"));
    // A name may have a colon.
    std::fs::write(&path, "").unwrap();
    assert_eq!(named(path.to_str().unwrap()).unwrap()[0].paths, [path]);
}

/// What a replay of these files at full speed brings, mappings of new instruments apart.
fn replayed(files: Vec<PathBuf>) -> Vec<Vec<u8>> {
    let files = files.into_iter().map(Recording::from).collect();
    let options = ReplayOptions { files, ..ReplayOptions::default() };
    let mut replay = Replay::open(options).unwrap();
    let known: HashSet<u32> = replay.instruments().iter().map(|i| i.id).collect();
    let (mut batch, mut records, mut next) = (Batch::new(32_768), Vec::new(), Next::Ready);
    while next == Next::Ready {
        next = replay.poll(1, &mut batch).unwrap();
        records.extend(batch.iter().map(<[u8]>::to_vec));
        batch.reset(32_768);
    }
    assert_eq!(next, Next::Ended);
    assert!(records.iter().all(|r| known.contains(&record::instrument_id(r))));
    records
}

#[test]
fn a_replay_of_any_file_brings_its_records() {
    let Some(folder) = data() else { return };
    for file in all_files(&folder) {
        let records = read(&file);
        assert!(replayed(vec![file.clone()]) == records, "{}", file.display());
    }
}

#[test]
fn a_merged_replay_brings_both_files_in_order() {
    let Some(folder) = data() else { return };
    let files = ["mbp-1", "trades"]
        .map(|schema| folder.join(format!("databento_ESU4_{schema}_2024-07-01T2358.dbn.zst")));
    let merged = replayed(files.to_vec());
    assert!(merged.is_sorted_by_key(|r| record::index_ts(r)));
    let of = |kind| merged.iter().filter(|r| record::rtype_of(r) == kind).cloned().collect();
    let (quotes, trades): (Vec<_>, Vec<_>) = (of(rtype::MBP_1), of(rtype::MBP_0));
    assert!(quotes == read(&files[0]) && trades == read(&files[1]));
}

#[test]
fn a_replay_knows_its_symbols() {
    let Some(folder) = data() else { return };
    let options = ReplayOptions {
        files: vec![folder.join("esh4-glbx-mdp3-20231225.mbo.dbn.zst").into()],
        speed: Speed::Factor(1.0),
        ..ReplayOptions::default()
    };
    let instruments = Replay::open(options).unwrap().instruments();
    let [one] = &instruments[..] else { panic!("{instruments:?}") };
    assert!(one.has(Schema::Mbo) && one.symbol == "ESH4", "{one:?}");
}
