//! `broadtape bench` against a scripted server: what it measures, finds wrong, and exits with.

#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]

mod scripted;

use std::collections::BTreeSet;
use std::process::{Command, Output};

use scripted::{BATCH, EVENT_AGE, Script, Server, broadtape, stderr};
use serde_json::Value;

/// Runs a short bench against a server, and gives its result.
fn bench(server: &Server, args: &[&str]) -> (Output, Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = server.url();
    let json = file.path().to_str().unwrap();
    let short = ["--duration", "400ms", "--warmup", "100ms", "--json", json];
    let output = broadtape(&[&["bench", &url], &short[..], args].concat());
    let written = std::fs::metadata(file.path()).unwrap().len() > 0;
    (
        output,
        if written {
            serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap()
        } else {
            Value::Null
        },
    )
}

#[track_caller]
fn exited(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
}

#[test]
fn everything_is_counted_measured_and_proven() {
    let server = Server::start(Script::default());
    let (output, report) = bench(&server, &["-c", "3", "--check-sequence", "--fail-if", "lost>0"]);
    exited(&output, 0);
    let (records, checks) = (report["records"].as_u64().unwrap(), &report["checks"]);
    assert!(records > 0 && checks["records"].as_u64().unwrap() > records);
    assert_eq!((&report["lost"], &checks["verified"]), (&0.into(), &3.into()));
    assert!(checks["counts_compared"].as_u64().unwrap() > 3);
    for zero in ["missing", "surplus", "seq_decreased", "sequence_gaps", "counts_inconsistent"] {
        assert_eq!(checks[zero], 0, "{zero}");
    }
    for stamp in ["ts_event", "ts_out", "ts_send"] {
        assert_eq!(report["latency_ns"][stamp]["count"], records, "{stamp}");
    }
    let least = report["latency_ns"]["ts_event"]["min"].as_u64().unwrap();
    assert!(least >= EVENT_AGE.as_nanos() as u64 * 999 / 1000, "{least}");
    assert_eq!(records, report["frames"].as_u64().unwrap() * BATCH);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("3 of 3 connections agree to the last record"), "{table}");
    let seen = server.seen.lock().unwrap();
    assert_eq!((seen.pongs, seen.goodbyes), (3, 3));
}

#[test]
fn the_json_encoding_is_measured_alike() {
    let server = Server::start(Script::default());
    let (output, report) = bench(&server, &["-c", "2", "--encoding", "json", "--check-sequence"]);
    exited(&output, 0);
    assert_eq!((&report["lost"], &report["checks"]["verified"]), (&0.into(), &2.into()));
    assert_eq!(report["latency_ns"]["ts_event"]["count"], report["records"]);
    assert!(report["records"].as_u64().unwrap() > 0);
}

#[test]
fn a_client_that_reads_on_a_schedule_reads_no_oftener_and_loses_nothing() {
    let server = Server::start(Script::default());
    let (output, report) = bench(&server, &["-c", "2", "--spin", "--read-every", "100ms"]);
    exited(&output, 0);
    assert_eq!((&report["lost"], &report["checks"]["verified"]), (&0.into(), &2.into()));
    let (reads, frames) = (report["reads"].as_u64().unwrap(), report["frames"].as_u64().unwrap());
    assert!(reads <= 2 * 6 && frames > reads, "{reads} reads of {frames} frames in 400 ms");
}

#[test]
fn one_lost_record_is_found() {
    let server = Server::start(Script { lose_in: Some(3), ..Script::default() });
    let (output, report) =
        bench(&server, &["-c", "2", "--check-sequence", "--fail-if", "lost>0", "--threads", "2"]);
    exited(&output, 3);
    assert!(stderr(&output).contains("--fail-if lost>0: it is 2"), "{}", stderr(&output));
    let checks = &report["checks"];
    assert_eq!((&report["lost"], &checks["missing"]), (&2.into(), &2.into()));
    assert_eq!((&checks["sequence_gaps"], &checks["verified"]), (&2.into(), &0.into()));
}

#[test]
fn a_condition_is_met_whether_or_not_anybody_reads_the_table() {
    let server = Server::start(Script { lose_in: Some(3), ..Script::default() });
    let (nobody, table) = std::io::pipe().unwrap();
    drop(nobody);
    let mut bench = Command::new(env!("CARGO_BIN_EXE_broadtape"));
    bench.args(["bench", &server.url(), "-c", "1", "--duration", "400ms", "--warmup", "0"]);
    let output = bench.args(["--fail-if", "lost>0"]).stdout(table).output().unwrap();
    exited(&output, 3);
    assert!(stderr(&output).contains("--fail-if lost>0: it is 1"), "{}", stderr(&output));
}

#[test]
fn counts_that_are_wrong_are_found() {
    for (wrong, missing, surplus) in [(5, 5, 0), (-4, 0, 4)] {
        let script = Script { count_wrong_after: Some((2, wrong)), ..Script::default() };
        let (output, report) = bench(&Server::start(script), &["-c", "1"]);
        exited(&output, 0);
        let checks = &report["checks"];
        assert_eq!((&checks["missing"], &checks["surplus"]), (&missing.into(), &surplus.into()));
        assert_eq!(checks["verified"], 0);
    }
}

#[test]
fn announced_gaps_are_losses() {
    for (records, lost) in [(Some(7), 7), (None, 1)] {
        let script = Script { gap_before: Some((2, records)), ..Script::default() };
        let (output, report) = bench(&Server::start(script), &["-c", "1"]);
        exited(&output, 0);
        assert_eq!((&report["checks"]["gaps"], &report["lost"]), (&1.into(), &lost.into()));
        assert_eq!(report["checks"]["missing"], 0);
    }
}

#[test]
fn the_venues_sequence_and_the_positions_are_checked() {
    let script = Script { step_before: Some((2, 4)), ..Script::default() };
    let (_, report) = bench(&Server::start(script), &["-c", "1", "--check-sequence"]);
    let checks = &report["checks"];
    assert_eq!((&checks["sequence_gaps"], &checks["sequence_missing"]), (&1.into(), &4.into()));
    let script = Script { step_before: Some((2, -1)), ..Script::default() };
    let (_, report) = bench(&Server::start(script), &["-c", "1", "--check-sequence"]);
    assert_eq!(report["checks"]["sequence_duplicates"], 1);
    let script = Script { go_back_before: Some(2), ..Script::default() };
    let (_, report) = bench(&Server::start(script), &["-c", "1"]);
    assert_eq!(report["checks"]["seq_decreased"], 1);
}

#[test]
fn each_connection_gets_symbols_of_its_own() {
    let server = Server::start(Script::default());
    let (output, _) = bench(&server, &["-c", "5", "--symbols", "2"]);
    exited(&output, 0);
    let seen = server.seen.lock().unwrap();
    assert!(seen.symbols.len() == 5 && seen.symbols.iter().all(|own| own.len() == 2));
    let all: BTreeSet<_> = seen.symbols.iter().flatten().collect();
    assert_eq!(all.len(), 10);
    drop(seen);
    let (output, _) = bench(&server, &["--symbols", "11"]);
    exited(&output, 1);
    assert!(stderr(&output).contains("the server has 10"), "{}", stderr(&output));
}

#[test]
fn a_connection_that_ends_is_told_with_its_reason() {
    let script =
        Script { subscribers: 2, close_after: Some((5, 4008, "slow")), ..Script::default() };
    let (output, report) =
        bench(&Server::start(script), &["-c", "2", "--fail-if", "disconnects>0"]);
    exited(&output, 3);
    let reason = "closed by the server with 4008 (slow); the server said: 4008 slow";
    assert_eq!(report["disconnects"], serde_json::json!({ reason: 1 }));
    assert_eq!(report["checks"]["verified"], 1);
}

#[test]
fn no_connection_left_is_a_failure() {
    let script = Script { subscribers: 1, cut_after: Some(5), ..Script::default() };
    let (output, _) = bench(&Server::start(script), &["-c", "1"]);
    exited(&output, 1);
    assert!(stderr(&output).contains("all connections ended"), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 lost"), "{}", stderr(&output));
}

#[test]
fn a_malformed_batch_ends_the_connection() {
    let script = Script { malformed: Some(5), ..Script::default() };
    let (output, _) = bench(&Server::start(script), &["-c", "1"]);
    exited(&output, 1);
    let words = "protocol broken: record 10 of a batch of 11 says it is 0 bytes; 0 are left";
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let (output, _) = bench(&Server::start(Script { refuse: true, ..Script::default() }), &[]);
    exited(&output, 1);
    let words = "subscribe refused with 406 too_many: no more of you";
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
}

#[test]
fn what_is_no_broadtape_server_is_told() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let page = Server::start(Script { only_http: true, ..Script::default() });
    let plain = Server::start(Script { no_protocol: true, ..Script::default() });
    let chat = Server::start(Script { greeting: Some("hello"), ..Script::default() });
    for (address, words) in [
        (nobody, "can't connect"),
        (page.address, "answered /v1/stream with HTTP 404: nothing here"),
        (
            plain.address,
            "is not a broadtape server: of subprotocol broadtape.dbn.v1 it answered nothing",
        ),
        (chat.address, "before its welcome: protocol broken: message \"hello\" can't be read"),
    ] {
        let output = broadtape(&["bench", &address.to_string(), "-c", "1"]);
        exited(&output, 1);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for (args, words) in [
        (&["h", "--fail-if", "p99=5ms"][..], "no operator"),
        (&["h", "--fail-if", "nonsense>5"], "no metric"),
        (&["h", "--duration", "10"], "is not a duration"),
        (&["h", "--duration", "0"], "--duration 0 measures nothing"),
        (&["h", "--symbols", "0"], "0 symbols"),
        (&["h", "--connections", "0"], "0 is not in 1"),
        (&["h", "--read-every", "5ms"], "--spin"),
        (&["h", "--check-sequence", "--schema", "trades,mbp-1"], "needs one schema"),
    ] {
        let output = broadtape(&[&["bench"], args].concat());
        exited(&output, 2);
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn results_go_where_they_are_asked_for() {
    let server = Server::start(Script::default());
    let file = tempfile::NamedTempFile::new().unwrap();
    let hdr = file.path().to_str().unwrap();
    let url = server.url();
    let output = broadtape(&[
        "bench",
        &url,
        "-c",
        "1",
        "--duration",
        "1200ms",
        "--warmup",
        "0",
        "--json",
        "-",
        "--hdr",
        hdr,
    ]);
    exited(&output, 0);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["connections"], 1);
    assert!(stderr(&output).contains("agree to the last record"));
    let log = std::fs::read_to_string(file.path()).unwrap();
    let lines = |tag: &str| log.lines().filter(|line| line.starts_with(tag)).count();
    assert_eq!((lines("Tag=ts_event,"), lines("Tag=ts_out,"), lines("Tag=ts_send,")), (2, 2, 2));
    let output = broadtape(&["bench", &url, "--hdr", "/nowhere/at/all"]);
    exited(&output, 1);
    assert!(stderr(&output).contains("can't write /nowhere/at/all"));
}
