//! `broadtape inspect` against what the official reader finds, and what is known of the recordings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::client::whole;
use crate::program::{broadtape, recording, succeed};
use crate::{ORDERS, QUOTES, TRADES, oracle};

/// The reports of these files.
fn inspect(files: &[PathBuf]) -> Vec<Value> {
    let said = succeed(broadtape().args(["inspect", "--json"]).args(files));
    serde_json::from_str(&said).unwrap()
}

fn counts(names: impl IntoIterator<Item = String>) -> BTreeMap<String, u64> {
    names.into_iter().fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

/// Holds a report against the file.
fn check(report: &Value, path: &Path) {
    let records = oracle::read(path).records;
    assert_eq!(report["damage"], Value::Null, "{report}");
    assert_eq!(whole(&report["bytes"]), path.metadata().unwrap().len(), "{report}");
    assert_eq!(whole(&report["records"]), records.len() as u64, "{report}");
    let schemas = report["schemas"].as_object().unwrap();
    let schemas: BTreeMap<_, _> = schemas.iter().map(|(k, v)| (k.clone(), whole(v))).collect();
    assert_eq!(schemas, counts(records.iter().map(|r| r.schema.to_string())), "{report}");
    let instruments = report["instruments"].as_array().unwrap();
    let named = |i: &Value| {
        let symbol = i["symbol"].as_str().unwrap();
        (format!("{symbol} {}", i["instrument_id"]), whole(&i["records"]))
    };
    let expected = counts(records.iter().map(|r| format!("{} {}", r.symbol, r.instrument)));
    assert_eq!(instruments.iter().map(named).collect::<BTreeMap<_, _>>(), expected, "{report}");
    let times = || records.iter().map(|r| r.time);
    assert_eq!(whole(&report["first"]), times().min().unwrap_or(0), "{report}");
    assert_eq!(whole(&report["last"]), times().max().unwrap_or(0), "{report}");
}

#[test]
fn every_file_is_reported_as_the_official_reader_has_it() {
    let Some(folder) = recording("dbn") else { return };
    let small = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = small.filter(|path| path.to_string_lossy().contains(".dbn")).collect();
    files.extend([ORDERS, QUOTES, TRADES].iter().filter_map(|name| recording(name)));
    let reports = inspect(&files);
    assert_eq!(reports.len(), files.len());
    for (report, path) in reports.iter().zip(&files) {
        check(report, path);
    }
}

#[test]
fn known_facts_are_reported() {
    let facts = [(ORDERS, 68_792, "ESH4", "mbo"), (QUOTES, 2_288, "ESU4", "mbp-1")];
    for (name, records, symbol, schema) in facts {
        let Some(path) = recording(name) else { return };
        let report = &inspect(&[path])[0];
        assert_eq!((report["version"].as_u64(), whole(&report["records"])), (Some(1), records));
        assert_eq!(report["dataset"], "GLBX.MDP3");
        assert_eq!(report["instruments"][0]["symbol"], symbol);
        assert_eq!(whole(&report["schemas"][schema]), records);
    }
}

#[test]
fn legacy_files_are_refused_with_what_to_do() {
    let Some(path) = recording("dbn/test_data.mbo.dbz") else { return };
    let output = broadtape().arg("inspect").arg(path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("DBZ, the predecessor of DBN"), "{said}");
}
