//! A tape as a recording: played, recorded again, exported, it holds the same records.

use std::path::Path;
use std::process::Output;

use broadtape::wire::record::index_ts;

use crate::program::{Program, broadtape};

/// Waits until so much has been recorded.
fn recorded(server: &Program, seq: u64) {
    let told =
        || server.get("/v1/status")["recorder"]["recorded_seq"].as_str()?.parse::<u64>().ok();
    while told().is_none_or(|told| told < seq) {
        std::thread::yield_now();
    }
}

/// Runs a command to its end.
fn run(args: &[&str]) -> Output {
    let output = broadtape().args(args).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {words}");
    output
}

/// The records of a DBN file with `ts_out`, each without it.
fn bare(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    assert_eq!(&file[..4], b"DBN\x03");
    let mut rest = &file[8 + u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (record, after) = rest.split_at(rest[0] as usize * 4);
        records.push(record[..record.len() - 8].to_vec());
        rest = after;
    }
    records
}

#[test]
fn what_is_recorded_played_and_recorded_again_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    let (first, second) = (text("first"), text("second"));
    let market = ["serve", "--log", "error", "--rate", "20000", "--drain", "0s"];
    let server = Program::start(&[&market[..], &["--record", &first]].concat());
    recorded(&server, 20_000);
    assert!(server.stop().success());

    let playing = ["replay", &first, "--speed", "max", "--exit", "--log", "error"];
    let player = Program::start(&[&playing[..], &["--record", &second, "--drain", "0s"]].concat());
    assert!(player.ended().success());

    for (tape, file) in [(&first, "first.dbn"), (&second, "second.dbn")] {
        run(&["export", tape, "-o", &text(file)]);
        run(&["verify", tape]);
    }
    let (before, after) = (bare(&path("first.dbn")), bare(&path("second.dbn")));
    assert!(before.len() >= 20_000);
    assert_eq!(before.len(), after.len());
    let other = before.iter().zip(&after).position(|(a, b)| a != b);
    assert_eq!(other, None, "the first record that differs");

    // A part of it: from the first record of its second half on, up to the last but a few.
    let time = |at: usize| index_ts(&before[at]);
    let (from, to) = (time(before.len() / 2), time(before.len() - 50));
    let within = ["--from", &from.to_string(), "--to", &to.to_string()];
    let part = ["--record", &text("third"), "--drain", "0s"];
    let player = Program::start(&[&playing[..], &within, &part].concat());
    assert!(player.ended().success());
    run(&["export", &text("third"), "-o", &text("third.dbn")]);
    let right = before.iter().filter(|record| (from..to).contains(&index_ts(record)));
    assert!(right.eq(&bare(&path("third.dbn"))), "from and to");
    let said = run(&["inspect", &first, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(report[0]["format"], "tape");
    assert_eq!(report[0]["schemas"]["trades"], trades(&before).to_string(), "{report}");
}

/// How many of them are trades.
fn trades(records: &[Vec<u8>]) -> usize {
    records.iter().filter(|record| record[1] == 0).count()
}

#[test]
fn a_folder_of_files_is_played_and_shown_as_one_recording() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("feeds");
    let playing = ["replay", feeds.to_str().unwrap(), "--speed", "max", "--exit", "--drain", "0s"];
    let player = Program::start(&[&playing[..], &["--record", &text("tape")]].concat());
    assert!(player.ended().success());
    run(&["export", &text("tape"), "-o", &text("a.dbn")]);
    run(&["export", feeds.to_str().unwrap(), "-o", &text("b.dbn")]);
    let count = |name: &str| {
        let said = run(&["inspect", "--json", &text(name)]);
        serde_json::from_slice::<serde_json::Value>(&said.stdout).unwrap()[0]["records"].clone()
    };
    assert_eq!((count("a.dbn"), count("b.dbn")), ("10597".into(), "10597".into()));
    let said = run(&["inspect", "--json", feeds.to_str().unwrap()]);
    let reports: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let counts: Vec<_> = reports.as_array().unwrap().iter().map(|r| r["records"].clone()).collect();
    assert_eq!(counts, ["3580", "7017"]);
}

#[test]
fn a_folder_without_a_tape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = broadtape().args(["replay", folder.path().to_str().unwrap()]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && words.contains("there is no tape in this folder"),
        "{words}"
    );
}
