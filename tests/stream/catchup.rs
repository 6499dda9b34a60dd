//! Catching up from the tape: what the ring has long overwritten comes back, in order, each record
//! once, and ends in the live stream.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::metronome;
use crate::program::Program;
use crate::wire::{CATCH_UP, Message, Record, long};

/// A fast server with a small ring, which holds 0.8 s, and its tape.
fn recorder(folder: &TempDir, more: &[&str]) -> Program {
    let record = ["--record", folder.path().to_str().unwrap(), "--ring", "1MiB"];
    metronome(20_000, &[&record[..], &["--heartbeat", "50ms", "--shards", "1"], more].concat())
}

/// Waits until this much has been published; the epoch.
async fn reach(server: &Program, seq: u64) -> u64 {
    let mut client = Client::connect(server).await;
    while client.ledger.seq < seq {
        client.heartbeat().await;
    }
    client.ledger.epoch.unwrap()
}

fn records_of(message: Message) -> Vec<Record> {
    match message {
        Message::Batch(batch) => batch.records.into_iter().filter(|r| !r.is_mapping()).collect(),
        _ => Vec::new(),
    }
}

/// Reads trades to `live` and `more` beyond, and holds them to be all that there were: the number
/// of the first.
async fn whole(client: &mut Client, more: usize) -> u32 {
    let mut numbers: Vec<u32> = Vec::new();
    loop {
        let message = client.next().await;
        if let Message::Batch(batch) = &message
            && batch.records.iter().any(|r| !r.is_mapping())
        {
            assert_eq!(batch.flags, CATCH_UP, "before live");
        }
        if let Message::Text(text) = &message {
            assert_ne!(text["type"], "gap", "{text}");
            if text["type"] == "live" {
                assert_eq!(long(&text["records"]), numbers.len() as u64);
                break;
            }
        }
        numbers.extend(records_of(message).iter().map(|r| r.sequence));
    }
    numbers.extend(client.records(more).await.iter().map(|r| r.sequence));
    let first = numbers[0];
    assert!(numbers.iter().copied().eq(first..first + numbers.len() as u32), "in order, once each");
    first
}

fn trades(from: &Value) -> Value {
    json!({"schema": "trades", "symbols": "*", "from": from})
}

#[tokio::test]
async fn a_position_long_overwritten_is_read_from_the_tape_into_the_live_stream() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder, &[]);
    let epoch = reach(&server, 40_000).await.to_string();
    // Several at once share what is read.
    let catch_up = async |seq: u64| {
        let mut client = Client::connect(&server).await;
        let from = json!({"epoch": epoch, "seq": seq.to_string()});
        let result = client.subscribe(trades(&from)).await;
        assert_eq!(long(&result["seq"]), seq);
        let first = whole(&mut client, 2_000).await;
        assert!(u64::from(first) >= seq.max(1), "{first} after {seq}");
        client.heartbeat().await;
    };
    futures_util::future::join_all([0, 0, 1, 7_777, 15_000].map(catch_up)).await;
}

#[tokio::test]
async fn a_time_long_overwritten_is_found_on_the_tape() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder, &[]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*", "snapshot": false})).await;
    let (then, number) = client.records(100).await.pop().map(|r| (r.ts_out, r.sequence)).unwrap();
    reach(&server, 40_000).await;
    let mut late = Client::connect(&server).await;
    late.subscribe(trades(&json!({"time": then.to_string()}))).await;
    let first = whole(&mut late, 500).await;
    assert!(first <= number, "all of that commit: {first}, {number}");
    assert!(number - first < 1_000, "and none that is much older");
}

#[tokio::test]
async fn a_client_that_stops_and_goes_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder, &["--queue", "128KiB"]);
    let mut slow = Client::connect_narrow(&server).await;
    slow.subscribe(json!({"schema": "trades", "symbols": "*", "snapshot": false})).await;
    let mut numbers: Vec<u32> = slow.records(500).await.iter().map(|r| r.sequence).collect();
    for stop in 1..=3 {
        // It reads nothing while a queue's worth and more is published.
        reach(&server, 20_000 * stop).await;
        let lives = |message: &Message| matches!(message, Message::Text(t) if t["type"] == "live");
        for message in slow.until(lives).await {
            if let Message::Text(text) = &message {
                assert!(text["type"] != "gap" && text["type"] != "closing", "{text}");
                assert!(text["type"] != "lagging" || text["then"] == "catch_up", "{text}");
            }
            numbers.extend(records_of(message).iter().map(|r| r.sequence));
        }
    }
    let first = numbers[0];
    assert!(numbers.iter().copied().eq(first..first + numbers.len() as u32), "in order, once each");
    slow.heartbeat().await;
}

#[tokio::test]
async fn a_client_comes_back_to_the_server_after_its_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder, &["--drain", "0s"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*", "snapshot": false})).await;
    let before: Vec<Record> = client.records(1_000).await;
    let (epoch, seq) = (client.ledger.epoch.unwrap().to_string(), client.ledger.seq);
    reach(&server, seq + 5_000).await;
    assert!(server.stop().success());

    let server = recorder(&folder, &[]);
    let mut back = Client::connect(&server).await;
    assert_eq!(back.ledger.epoch.unwrap().to_string(), epoch, "the tape's sequence goes on");
    back.subscribe(trades(&json!({"epoch": epoch, "seq": seq.to_string()}))).await;
    let lives = |message: &Message| matches!(message, Message::Text(t) if t["type"] == "live");
    let came: Vec<Record> = back.until(lives).await.into_iter().flat_map(records_of).collect();
    let numbers: Vec<u32> = came.iter().map(|r| r.sequence).collect();
    // The market numbers its trades anew: of the old run all are there, then those of the new one.
    let anew = numbers.windows(2).position(|pair| pair[1] != pair[0] + 1).expect("a new run") + 1;
    assert_eq!(numbers[0], before.last().unwrap().sequence + 1);
    assert!(anew >= 5_000, "{anew}");
    assert!(numbers[anew..].windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[tokio::test]
async fn what_the_tape_no_longer_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder, &["--segment-bytes", "1MiB", "--retain-bytes", "2MiB"]);
    let epoch = reach(&server, 80_000).await.to_string();
    let mut client = Client::connect(&server).await;
    // Retention is looked after once a second.
    let refused = loop {
        let answer = client.ask("subscribe", trades(&json!({"epoch": epoch, "seq": "0"}))).await;
        if answer["success"] == false {
            break answer;
        }
        client = Client::connect(&server).await;
    };
    assert_eq!(refused["error"]["code"], 410, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("the tape holds"), "{refused}");
    let mut other = Client::connect(&server).await;
    let (code, reason) = other.refused("subscribe", trades(&json!({"time": "1"}))).await;
    assert_eq!((code, reason.as_str()), (410, "not_retained"));
}
