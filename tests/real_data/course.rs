//! How a replay runs: around, at a pace, into damage, to its end.

use std::path::Path;

use serde_json::json;

use crate::client::{Client, Encoding};
use crate::compare::assert_received;
use crate::program::recording;
use crate::{QUOTES, TRADES, both, for_each, oracle, play, replay};

#[test]
fn a_loop_plays_the_same_again() {
    let Some(path) = recording(TRADES) else { return };
    let file = oracle::read(&path);
    let server = replay(&[&path], 2, &["--loop"]);
    let params = json!({"schema": "trades", "symbols": "*", "snapshot": false});
    let mut clients = both(&server, |client| drop(client.subscribe(params.clone())));
    for_each(&mut clients, |(client, ())| {
        client.until_records(2 * file.records.len() as u64 + 1);
        let came = client.records as usize;
        assert_received(client, file.records.iter().cycle().take(came), "around");
    });
}

#[test]
fn a_replay_that_keeps_time_brings_all_in_order() {
    let (Some(quotes), Some(trades)) = (recording(QUOTES), recording(TRADES)) else { return };
    let merged = oracle::merge(&[oracle::read(&quotes), oracle::read(&trades)]);
    let server = play(&[&quotes, &trades], 1, &["--speed", "100"]);
    let mut client = Client::connect(&server.address, Encoding::Dbn);
    client.subscribe(json!({"schema": ["mbp-1", "trades"], "symbols": "*", "snapshot": false}));
    client.until_seq(merged.len() as u64);
    assert_received(&client, &merged, "at speed 100");
}

/// Replays a damaged file: what came before the damage arrives, and the place is told.
fn run_into(damaged: &Path, schema: &str, good: &[oracle::Expected], place: &str) {
    let server = replay(&[damaged], 1, &[]);
    let mut client = Client::connect(&server.address, Encoding::Json);
    client.subscribe(json!({"schema": schema, "symbols": "*", "snapshot": false}));
    let status = client.until("status");
    assert_eq!(status["state"], "failed", "{status}");
    let message = status["message"].as_str().unwrap();
    let name = damaged.to_str().unwrap();
    let played = format!("{} records were played before it", good.len());
    for part in [name, place, &played] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    assert_received(&client, good, "before the status");
    client.until_seq(good.len() as u64);
    assert_eq!(client.records, good.len() as u64, "nothing follows");
    drop(client);
    let exiting = replay(&[damaged], 1, &["--exit"]);
    let mut client = Client::connect(&exiting.address, Encoding::Dbn);
    client.subscribe(json!({"schema": schema, "symbols": "*", "snapshot": false}));
    client.until_closed();
    assert_received(&client, good, "before the damage");
    assert_eq!(exiting.wait().code(), Some(1), "who waits for the end learns that it is none");
}

#[test]
fn a_file_that_is_cut_brings_what_is_whole() {
    let Some(path) = recording(TRADES) else { return };
    const WHOLE: usize = 60;
    let (bytes, records) = (oracle::plain(&path), oracle::read(&path).records);
    let first = bytes.len() - records.len() * 48;
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.dbn");
    let place = first + WHOLE * 48;
    std::fs::write(&cut, &bytes[..place + 20]).unwrap();
    let words = format!("record {} at byte {place}: the file ends within it", WHOLE + 1);
    run_into(&cut, "trades", &records[..WHOLE], &words);
}

#[test]
fn a_record_that_is_none_ends_a_file() {
    let Some(path) = recording(QUOTES) else { return };
    const WHOLE: usize = 2_000;
    let (mut bytes, records) = (oracle::plain(&path), oracle::read(&path).records);
    let place = bytes.len() - (records.len() - WHOLE) * 80;
    bytes[place + 1] = 0x77;
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.dbn");
    std::fs::write(&damaged, bytes).unwrap();
    let words = format!("record {} at byte {place}: type 0x77", WHOLE + 1);
    run_into(&damaged, "mbp-1", &records[..WHOLE], &words);
}
