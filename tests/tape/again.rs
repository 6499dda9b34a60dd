//! A tape as a recording: played, recorded again, exported, it holds the same records.

use std::path::Path;
use std::process::Output;

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
