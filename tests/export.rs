//! `broadtape export` against the official encoders and readers, and what is known of recordings.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use broadtape::wire::file::{Contents, Writer};
use broadtape::wire::record::{TradeMsg, bytes_of, header, publish_into};
use dbn::decode::{DbnMetadata, DecodeRecordRef, DynDecoder};
use dbn::encode::{EncodeRecordTextExt, csv, json};
use dbn::{
    BboMsg, CbboMsg, Cmbp1Msg, ImbalanceMsg, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, Metadata,
    OhlcvMsg, Publisher, RecordRef, Schema, StatMsg, StatusMsg, VersionUpgradePolicy, rtype,
};
use program::{broadtape, python, recording, succeed};
use serde_json::Value;
use tempfile::TempDir;

const ORDERS: &str = "esh4-glbx-mdp3-20231225.mbo.dbn.zst";
const QUOTES: &str = "databento_ESU4_mbp-1_2024-07-01T2358.dbn.zst";
const TRADES: &str = "databento_ESU4_trades_2024-07-01T2358.dbn.zst";

/// Exports files to one of this name; returns it with what was said.
fn export(files: &[&Path], folder: &TempDir, name: &str, more: &[&str]) -> (PathBuf, String) {
    let out = folder.path().join(name);
    let output = broadtape().arg("export").args(files).arg("-o").arg(&out).args(more).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{said}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.iter().all(|file| !file.to_string_lossy().contains("partial")), "{left:?}");
    (out, said)
}

/// What it says where it does not, and its exit code; there is no file then.
fn refused(files: &[&Path], name: &str, more: &[&str]) -> (String, i32) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join(name);
    let output = broadtape().arg("export").args(files).arg("-o").arg(&out).args(more).output();
    let output = output.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

/// A file as the official reader has it: metadata and records.
fn official(file: &Path) -> (Metadata, Vec<Vec<u8>>) {
    let stream = BufReader::new(File::open(file).unwrap());
    let upgrade = VersionUpgradePolicy::UpgradeToV3;
    let mut decoder = DynDecoder::inferred_with_buffer(stream, upgrade).unwrap();
    let metadata = decoder.metadata().clone();
    let mut records = Vec::new();
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        records.push(record.as_ref().to_vec());
    }
    (metadata, records)
}

/// Files with metadata and one schema each, of every schema there is.
fn files() -> Vec<PathBuf> {
    let Some(folder) = recording("dbn") else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    let whole = |name: &str| name.ends_with(".dbn") || name.ends_with(".dbn.zst");
    files.retain(|file| whole(&file.to_string_lossy()) && !official(file).1.is_empty());
    files.extend([QUOTES, TRADES].map(|name| recording(name).unwrap()));
    assert!(files.len() > 40, "{}", files.len());
    files
}

#[test]
fn dbn_comes_out_as_it_went_in() {
    let folder = tempfile::tempdir().unwrap();
    for file in files() {
        let (metadata, records) = official(&file);
        for name in ["out.dbn", "out.dbn.zst"] {
            let (out, said) = export(&[&file], &folder, name, &["--force"]);
            let (written, exported) = official(&out);
            assert!(exported == records, "{}: {said}", file.display());
            assert!(said.contains(&format!("{} records", records.len())), "{said}");
            assert_eq!(written.version, 3);
            assert_eq!((&written.dataset, written.schema), (&metadata.dataset, metadata.schema));
            assert_eq!((written.start, written.ts_out), (metadata.start, metadata.ts_out));
            // A record's symbol is that of the file it came from.
            let id = u32::from_le_bytes(records[0][4..8].try_into().unwrap());
            let date = time::OffsetDateTime::from_unix_timestamp_nanos(metadata.start.into());
            let date = date.unwrap().date();
            let before = metadata.symbol_map_for_date(date).ok();
            let before = before.as_ref().and_then(|map| map.get(id));
            let after = written.symbol_map_for_date(date).unwrap();
            let after = after.get(id).map(|symbol| symbol.to_string());
            let own = before.map(|symbol| symbol.to_string());
            assert!(own.is_none() || after == own, "{}: {after:?} {own:?}", file.display());
            if !metadata.mappings.is_empty() {
                assert_eq!(written.mappings, metadata.mappings, "{}", file.display());
            }
        }
    }
}

/// Calls the method of an official encoder with each record as its type has it.
macro_rules! encode {
    ($encoder:expr, $record:expr, $symbol:expr; $($kind:ty),*) => {
        $(if let Some(record) = $record.get::<$kind>() {
            $encoder.encode_record_with_sym(record, Some($symbol)).unwrap();
        })*
    };
}

/// The lines of the official encoders, CSV with its header, and JSON.
fn official_lines(file: &Path, symbol: impl Fn(u32) -> String) -> [String; 2] {
    let stream = BufReader::new(File::open(file).unwrap());
    let upgrade = VersionUpgradePolicy::UpgradeToV3;
    let mut decoder = DynDecoder::inferred_with_buffer(stream, upgrade).unwrap();
    let schema = decoder.metadata().schema.unwrap();
    let (mut table, mut lines) = (Vec::new(), Vec::new());
    let mut csv = csv::Encoder::builder(&mut table)
        .use_pretty_px(true)
        .use_pretty_ts(true)
        .write_header(false)
        .with_symbol(true)
        .build()
        .unwrap();
    csv.encode_header_for_schema(3, schema, false, true).unwrap();
    let mut json = json::Encoder::new(&mut lines, false, true, true);
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        let record: RecordRef<'_> = record;
        let symbol = symbol(record.header().instrument_id);
        encode!(csv, record, &symbol; MboMsg, TradeMsg, Mbp1Msg, Mbp10Msg, BboMsg, Cmbp1Msg,
            CbboMsg, OhlcvMsg, StatusMsg, InstrumentDefMsg, ImbalanceMsg, StatMsg);
        encode!(json, record, &symbol; MboMsg, TradeMsg, Mbp1Msg, Mbp10Msg, BboMsg, Cmbp1Msg,
            CbboMsg, OhlcvMsg, StatusMsg, InstrumentDefMsg, ImbalanceMsg, StatMsg);
    }
    drop(csv);
    [table, lines].map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn csv_and_json_are_what_the_official_encoders_print() {
    let folder = tempfile::tempdir().unwrap();
    for file in files() {
        let (dbn, _) = export(&[&file], &folder, "out.dbn", &["--force"]);
        let metadata = official(&dbn).0;
        let symbol = |id: u32| {
            let mapped = metadata.mappings.iter().find(|mapping| {
                mapping.intervals.iter().any(|interval| interval.symbol == id.to_string())
            });
            mapped.unwrap().raw_symbol.clone()
        };
        let [table, lines] = official_lines(&file, symbol);
        let (csv, _) = export(&[&file], &folder, "out.csv", &["--force"]);
        let (json, _) = export(&[&file], &folder, "out.jsonl", &["--force"]);
        assert_eq!(fs::read_to_string(csv).unwrap(), table, "{}", file.display());
        assert_eq!(fs::read_to_string(json).unwrap(), lines, "{}", file.display());
    }
}

#[test]
fn filters_choose_and_what_they_leave_is_counted() {
    let (Some(orders), Some(trades)) = (recording(ORDERS), recording(TRADES)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let from = ["--from", "2023-12-25T22:00", "--to", "2023-12-25T23:00:00"];
    let (out, said) = export(&[&orders], &folder, "hour.dbn.zst", &from);
    let (metadata, records) = official(&out);
    let all = official(&orders).1;
    let time = |record: &Vec<u8>| u64::from_le_bytes(record[40..48].try_into().unwrap());
    let hour = 1_703_541_600_000_000_000..1_703_545_200_000_000_000_u64;
    let expected: Vec<_> = all.iter().filter(|record| hour.contains(&time(record))).collect();
    assert!(records.iter().eq(expected.iter().copied()) && records.len() == 924);
    let counts = format!("{} records", records.len());
    let left = format!("; {} left out", all.len() - records.len());
    assert!(said.contains(&counts) && said.contains(&left), "{said}");
    assert_eq!((metadata.start, metadata.end.unwrap().get()), (hour.start, hour.end));

    let both = [orders.as_path(), trades.as_path()];
    let symbols = ["--symbols", "ESU*,XX,NQ*"];
    let (out, said) = export(&both, &folder, "some.dbn", &symbols);
    assert!(said.contains("no instrument is called XX, NQ*\n"), "{said}");
    let (metadata, records) = official(&out);
    assert_eq!((records.len(), &metadata.symbols[..]), (120, &["ESU4".to_owned()][..]));
    let (out, _) = export(&both, &folder, "both.dbn", &[]);
    assert_eq!((official(&out).1.len(), official(&out).0.schema), (68_792 + 120, None));
    let (out, _) = export(&both, &folder, "one.csv", &["--schema", "trades"]);
    assert_eq!(fs::read_to_string(out).unwrap().lines().count(), 121);
}

#[test]
fn what_follows_from_orders_is_exported_beside_them() {
    let Some(orders) = recording(ORDERS) else { return };
    let folder = tempfile::tempdir().unwrap();
    let only = ["--derive", "--schema", "mbp-1"];
    let (out, said) = export(&[&orders], &folder, "top.dbn.zst", &only);
    let (metadata, records) = official(&out);
    assert_eq!((metadata.schema, records.len()), (Some(Schema::Mbp1), 25_440 + 2_973));
    assert!(said.contains("68792 left out") && !said.contains("books"), "{said}");
    let last = records.last().unwrap();
    let price = |at: usize| i64::from_le_bytes(last[at..at + 8].try_into().unwrap());
    assert_eq!((price(48), price(56)), (4_810_000_000_000, 4_810_250_000_000));
    let (out, _) = export(&[&orders], &folder, "all.dbn", &["--derive"]);
    let kinds = official(&out).1.iter().fold([0; 256], |mut kinds, record| {
        kinds[usize::from(record[1])] += 1;
        kinds
    });
    let of = |kind: u8| kinds[usize::from(kind)];
    assert_eq!([of(rtype::MBO), of(rtype::MBP_0)], [68_792, 2_973]);
    assert_eq!([of(rtype::MBP_10), of(rtype::OHLCV_1H), of(rtype::OHLCV_1D)], [40_037, 1, 1]);
    assert!(of(rtype::BBO_1M) > 0 && of(rtype::BBO_1S) > of(rtype::BBO_1M));
}

#[test]
fn times_of_publication_go_along() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape.dbn.zst");
    let symbols = vec![("A".to_owned(), 7)];
    let contents = Contents { start: 1, end: 9, ts_out: true, symbols, ..Contents::default() };
    let mut writer = Writer::create(&tape, &contents, false).unwrap();
    let mut published = Vec::new();
    for ts in 1..9 {
        let hd = header::<TradeMsg>(rtype::MBP_0, 64_000, 7, ts);
        published.clear();
        let trade = TradeMsg { hd, ts_recv: ts, price: 5, ..TradeMsg::default() };
        publish_into(&mut published, bytes_of(&trade), 1_000 + ts);
        writer.write(&published).unwrap();
    }
    writer.finish(&contents).unwrap();
    let (out, _) = export(&[&tape], &folder, "out.dbn", &["--from", "00000000003"]);
    let ((metadata, records), all) = (official(&out), official(&tape).1);
    assert!(metadata.ts_out && records == all[2..], "{metadata:?}");
    let (out, _) = export(&[&tape], &folder, "out.csv", &["--schema", "trades"]);
    let table = fs::read_to_string(out).unwrap();
    let (names, lines) = table.split_once('\n').unwrap();
    assert!(names.ends_with(",ts_out,symbol"), "{names}");
    assert!(lines.starts_with("1970-01-01T00:00:00.000000001Z,"), "{lines}");
    assert!(lines.ends_with(",1970-01-01T00:00:00.000001008Z,A\n"), "{lines}");
    let (out, _) = export(&[&tape], &folder, "out.jsonl", &[]);
    assert!(
        fs::read_to_string(out).unwrap().contains(r#""ts_out":"1970-01-01T00:00:00.000001001Z""#)
    );
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let (Some(orders), Some(trades)) = (recording(ORDERS), recording(TRADES)) else { return };
    let said = |files: &[&Path], name, more: &[&str]| refused(files, name, more);
    let (words, code) = said(&[&orders], "x.txt", &[]);
    assert!(words.contains(".dbn.zst") && code == 2, "{words}");
    let (words, code) = said(&[&orders, &trades], "x.csv", &[]);
    assert!(words.contains("--schema (here: mbo, trades)") && code == 2, "{words}");
    let (words, code) = said(&[&orders], "x.csv", &["--from", "2024-01-02", "--to", "2024-01-01"]);
    assert!(words.contains("--to is not after --from") && code == 2, "{words}");
    let (words, _) = said(&[&orders], "x.csv", &["--from", "yesterday"]);
    assert!(words.contains("2023-12-25T22:00"), "{words}");
    let (words, _) = said(&[&orders], "x.csv", &["--schema", "mbo-10"]);
    assert!(words.contains("mbp-10"), "{words}");
    let empty = tempfile::tempdir().unwrap();
    let (words, code) = said(&[empty.path()], "x.dbn", &[]);
    assert!(
        words.contains("there is no tape in this folder (no file NUMBER.tape), and no .dbn")
            && code == 1,
        "{words}"
    );
    let cut = empty.path().join("cut.dbn");
    let whole = zstd::decode_all(File::open(&trades).unwrap()).unwrap();
    fs::write(&cut, &whole[..whole.len() - 7]).unwrap();
    let (words, code) = said(&[&cut], "x.dbn", &[]);
    assert!(words.contains("record 120 at byte") && code == 1, "{words}");
    if cfg!(not(feature = "parquet")) {
        let (words, code) = said(&[&trades], "x.parquet", &[]);
        assert!(words.contains("--features parquet") && code == 1, "{words}");
    }
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let Some(trades) = recording(TRADES) else { return };
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there.csv");
    fs::write(&there, "mine").unwrap();
    let again = |more: &[&str]| {
        broadtape().arg("export").arg(&trades).arg("-o").arg(&there).args(more).output().unwrap()
    };
    let kept = again(&[]);
    let words = String::from_utf8_lossy(&kept.stderr).into_owned();
    assert!(words.contains("--force") && kept.status.code() == Some(1), "{words}");
    assert_eq!(fs::read(&there).unwrap(), b"mine");
    assert!(again(&["--force"]).status.success());
    assert_eq!(fs::read_to_string(&there).unwrap().lines().count(), 121);
}

#[test]
fn the_official_python_reader_reads_it() {
    let (Some(mut python), Some(orders)) = (python(), recording(ORDERS)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let only = ["--derive", "--schema", "mbp-1"];
    let (plain, _) = export(&[&orders], &folder, "top.dbn", &only);
    let (compressed, _) = export(&[&orders], &folder, "top.dbn.zst", &only);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/exported.py");
    let said = succeed(python.arg(script).arg(plain).arg(compressed));
    assert_eq!(said, "28413 records of mbp-1 in both, ESH4\n");
}

/// What `inspect` says of a file, and its exit code.
fn inspected(file: &Path) -> (Value, i32) {
    let output = broadtape().args(["inspect", "--json"]).arg(file).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    (report[0].clone(), output.status.code().unwrap())
}

/// What is the same whatever the form.
fn facts((mut report, code): (Value, i32)) -> (Value, i32) {
    for form in ["format", "file", "bytes", "version", "metadata", "dataset"] {
        report[form] = Value::Null;
    }
    (report, code)
}

#[test]
fn whoever_has_read_enough_of_a_report_makes_no_failure_of_it() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("feeds/crash.dbn.zst");
    for form in [&[][..], &["--json"]] {
        let (nobody, report) = std::io::pipe().unwrap();
        drop(nobody);
        let mut inspect = broadtape();
        inspect.arg("inspect").args(form).arg(&shipped).stdout(report);
        assert!(inspect.status().unwrap().success(), "{form:?}");
    }
}

#[test]
fn what_was_exported_is_inspected_alike_in_every_form() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("feeds/crash.dbn.zst");
    let folder = tempfile::tempdir().unwrap();
    for (file, only) in [(Some(shipped), "mbp-1"), (recording(ORDERS), "mbo")] {
        let Some(file) = file else { continue };
        let (whole, _) = export(&[&file], &folder, "a.dbn", &["--schema", only, "--force"]);
        let (right, code) = facts(inspected(&whole));
        assert_eq!((&right["damage"], code), (&Value::Null, 0));
        let mut names = vec!["a.csv", "a.jsonl"];
        names.extend(cfg!(feature = "parquet").then_some("a.parquet"));
        for name in names {
            let (out, _) = export(&[&file], &folder, name, &["--schema", only, "--force"]);
            assert_eq!(facts(inspected(&out)), (right.clone(), 0), "{name}");
        }
    }
}

#[test]
fn rows_that_are_damaged_or_of_others_are_told_with_their_place() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("feeds/calm.dbn.zst");
    let folder = tempfile::tempdir().unwrap();
    let trades = ["--schema", "trades"];
    let (table, _) = export(&[&shipped], &folder, "a.csv", &trades);
    let (lines, _) = export(&[&shipped], &folder, "a.jsonl", &trades);
    let packed = folder.path().join("b.csv.zst");
    fs::write(&packed, zstd::encode_all(File::open(&table).unwrap(), 1).unwrap()).unwrap();
    assert_eq!(inspected(&packed).0["records"], "396");
    let cut = |file: &Path, name: &str| {
        let whole = fs::read(file).unwrap();
        let out = folder.path().join(name);
        fs::write(&out, &whole[..whole.len() - 20]).unwrap();
        inspected(&out)
    };
    for (report, code) in [cut(&table, "cut.csv"), cut(&lines, "cut.jsonl")] {
        let damage = report["damage"].as_str().unwrap();
        assert_eq!((&report["records"], code), (&"395".into(), 1));
        assert!(damage.starts_with("line 39"), "{damage}");
    }
    let (whole, short) = (fs::read(&table).unwrap(), folder.path().join("short.csv"));
    fs::write(&short, &whole[..whole.len() - 3]).unwrap();
    let (report, code) = inspected(&short);
    assert_eq!((&report["records"], code), (&"395".into(), 1), "cut within its symbol");
    assert!(report["damage"].as_str().unwrap().contains("may be cut"), "{report}");
    let other = |name: &str, text: &str| {
        let out = folder.path().join(name);
        fs::write(&out, text).unwrap();
        let (report, code) = inspected(&out);
        assert_eq!(code, 1);
        report["damage"].as_str().unwrap().to_owned()
    };
    let words = other("other.csv", "time,price\n1,2\n");
    assert!(words.contains("no ts_event") && words.contains("--mapping"), "{words}");
    let words = other("other.jsonl", "{\"price\":1}\n");
    assert!(words.starts_with("line 1: is no record of an export: missing field `hd`"), "{words}");
    other("empty.csv", "");
    let words = other("no.parquet", "no");
    let right = if cfg!(feature = "parquet") { "no Parquet" } else { "--features parquet" };
    assert!(words.contains(right), "{words}");
}

#[test]
fn an_instrument_of_several_publishers_is_one_in_rows_as_well() {
    let head = "ts_event,rtype,publisher_id,instrument_id,symbol\n";
    let time = "2024-01-02T14:30:00.000000000Z";
    let (mini, summary) = (Publisher::EqusMiniEqus as u16, Publisher::EqusSummaryEqus as u16);
    let opra = [Publisher::OpraPillarAmxo as u16, Publisher::OpraPillarXbox as u16];
    let publishers = [opra[0], opra[1], opra[0], mini, summary];
    let rows: String = publishers.iter().map(|p| format!("{time},0,{p},7,A\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("many.csv");
    fs::write(&out, format!("{head}{rows}")).unwrap();
    let (report, code) = inspected(&out);
    assert_eq!((&report["damage"], code), (&Value::Null, 0));
    let rows = report["instruments"].as_array().unwrap();
    let counts: Vec<_> = rows.iter().map(|row| row["records"].as_str().unwrap()).collect();
    assert_eq!(counts, ["3", "1", "1"], "of OPRA one; those of other datasets stay apart");
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_the_columns_of_csv() {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, TimestampNanosecondType, UInt64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let Some(trades) = recording(TRADES) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (out, said) = export(&[&trades], &folder, "out.parquet", &[]);
    let (table, _) = export(&[&trades], &folder, "out.csv", &[]);
    let table = fs::read_to_string(table).unwrap();
    assert!(said.contains("120 records"), "{said}");
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(out).unwrap()).unwrap();
    let names: Vec<_> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names.join(","), table.lines().next().unwrap());
    let records = official(&trades).1;
    let mut row = 0;
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap();
        for at in 0..batch.num_rows() {
            let record = &records[row];
            let long = |at: usize| i64::from_le_bytes(record[at..at + 8].try_into().unwrap());
            let price = column("price").as_primitive::<Decimal128Type>().value(at);
            let recv = column("ts_recv").as_primitive::<TimestampNanosecondType>().value(at);
            let size = column("size").as_primitive::<UInt64Type>().value(at);
            let side = column("side").as_string::<i32>().value(at).as_bytes()[0];
            assert_eq!((price, recv), (i128::from(long(16)), long(32)));
            assert_eq!((size, side), (u64::from(record[24]), record[29]));
            assert_eq!(column("symbol").as_string::<i32>().value(at), "ESU4");
            row += 1;
        }
    }
    assert_eq!(row, 120);
}
