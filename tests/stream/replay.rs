//! Replays with control, on the socket that goes on live: every record once and in order, whatever
//! is done to them on the way. The ledger counts along.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, now};
use crate::metronome;
use crate::program::Program;
use crate::wire::{Message, REPLAY, Record, long};

const RATE: u32 = 5_000;

/// A server that records evenly paced trades, in a ring that holds some seconds of them.
fn recorder(folder: &TempDir) -> Program {
    let record = ["--record", folder.path().to_str().unwrap(), "--ring", "1MiB"];
    metronome(RATE, &[&record[..], &["--heartbeat", "50ms", "--shards", "1"]].concat())
}

/// Waits until this much has been recorded.
async fn reach(server: &Program, seq: u64) {
    let mut client = Client::connect(server).await;
    // What is recorded is some 50 ms behind what is published.
    while client.ledger.seq < seq + u64::from(RATE) / 4 {
        client.heartbeat().await;
    }
}

pub(crate) fn is(kind: &'static str) -> impl Fn(&Message) -> bool {
    move |message| matches!(message, Message::Text(text) if text["type"] == kind)
}

/// What was replayed in these messages.
pub(crate) fn replayed(messages: Vec<Message>) -> Vec<Record> {
    let batches = messages.into_iter().filter_map(|message| match message {
        Message::Batch(batch) if batch.flags == REPLAY => Some(batch.records),
        _ => None,
    });
    batches.flatten().filter(|record| !record.is_mapping()).collect()
}

pub(crate) fn numbers(records: &[Record]) -> Vec<u32> {
    records.iter().map(|record| record.sequence).collect()
}

/// Replays to the end, and returns what came with it.
async fn whole(client: &mut Client, params: Value) -> (Vec<Record>, Value) {
    client.granted("replay", params).await;
    let messages = client.until(is("replay_completed")).await;
    let Some(Message::Text(completed)) = messages.last().cloned() else { panic!("no end") };
    (replayed(messages), completed)
}

#[tokio::test]
async fn the_whole_recording_flat_out_is_every_record_in_both_encodings() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 5_000).await;
    for encoding in ["dbn", "json"] {
        let (mut client, _) = Client::connect_as(&server, encoding).await;
        let (records, completed) =
            whole(&mut client, json!({"recording": "live", "speed": "max"})).await;
        assert!(records.len() > 5_000);
        assert!(numbers(&records).into_iter().eq(1..=records.len() as u32), "in order, once each");
        assert_eq!(long(&completed["records"]), records.len() as u64);
        assert_eq!(completed["then"], "stop");
        assert!(records.iter().all(|record| record.symbol.is_some() == (encoding == "json")));
    }
}

#[tokio::test]
async fn it_keeps_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 8_000).await;
    let mut client = Client::connect(&server).await;
    for (speed, records) in [(1.0, 1_500), (4.0, 6_000)] {
        let began = now();
        let asked = json!({"recording": "live", "speed": speed, "schema": "trades"});
        client.granted("replay", asked).await;
        let mut came = 0;
        while came < records {
            let message = client.next().await;
            came += replayed(vec![message]).len();
        }
        let due = f64::from(records as u32) / f64::from(RATE) / speed * 1e9;
        let took = (now() - began) as f64;
        assert!(took >= 0.95 * due, "{came} records at {speed} after {took} ns, due {due}");
        client.granted("stop", json!({})).await;
    }
}

#[tokio::test]
async fn a_pause_holds_and_what_follows_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 10_000).await;
    let mut client = Client::connect(&server).await;
    client.granted("replay", json!({"recording": "live"})).await;
    let mut came = Vec::new();
    while came.len() < 500 {
        let message = client.next().await;
        came.extend(replayed(vec![message]));
    }
    let id = client.send("pause", json!({})).await;
    let answered = |message: &Message| matches!(message, Message::Text(text) if text["id"] == id);
    let mut before = client.until(answered).await;
    let Some(Message::Text(answer)) = before.pop() else { panic!("an answer") };
    came.extend(replayed(before));
    assert_eq!(answer["result"]["state"], "paused", "{answer}");
    assert_eq!(long(&answer["result"]["records"]), came.len() as u64, "what came before it");
    // Nothing follows but heartbeats.
    for _ in 0..5 {
        assert!(replayed(client.until(is("heartbeat")).await).is_empty());
    }
    for step in [1, 7] {
        client.granted("step", json!({"records": step})).await;
        let mut stepped = Vec::new();
        while stepped.len() < step {
            let message = client.next().await;
            stepped.extend(replayed(vec![message]));
        }
        assert!(replayed(client.until(is("heartbeat")).await).is_empty(), "{step} and no more");
        came.extend(stepped);
    }
    client.granted("speed", json!({"speed": "max"})).await;
    client.granted("resume", json!({"replay": 1})).await;
    came.extend(replayed(client.until(is("replay_completed")).await));
    assert!(came.len() >= 10_000);
    assert!(numbers(&came).into_iter().eq(1..=came.len() as u32), "in order, once each");
}

#[tokio::test]
async fn a_seek_goes_to_the_first_record_of_a_time_forth_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 10_000).await;
    let mut client = Client::connect(&server).await;
    let all = json!({"recording": "live", "speed": "max"});
    let (records, _) = whole(&mut client, all.clone()).await;
    let time_of = |at: usize| {
        let bytes = records[at].bytes();
        u64::from_le_bytes(bytes[bytes.len() - 24..bytes.len() - 16].try_into().unwrap())
    };
    client.granted("replay", json!({"recording": "live", "speed": 0.01})).await;
    for at in [9_000, 20, 5_000] {
        client.granted("seek", json!({"time": time_of(at).to_string()})).await;
        let mut came = Vec::new();
        while came.is_empty() {
            let message = client.next().await;
            came.extend(replayed(vec![message]));
        }
        let first = numbers(&came)[0] as usize - 1;
        assert!(first <= at && time_of(first) == time_of(at), "{first} for {at}");
        assert!(first == 0 || time_of(first - 1) < time_of(at), "the first of them: {first}");
    }
    // One that overtakes another's read of the tape is not answered with it.
    for (there, at) in [(9_000, 20), (20, 9_000), (8_000, 40), (9_500, 3_000)] {
        client.send("seek", json!({"time": time_of(there).to_string()})).await;
        client.granted("seek", json!({"time": time_of(at).to_string()})).await;
        let message = client.until(|m| matches!(m, Message::Batch(b) if b.flags == REPLAY)).await;
        let first = numbers(&replayed(message))[0] as usize - 1;
        assert_eq!(time_of(first), time_of(at), "{first} for {at} after {there}");
    }
    client.granted("stop", json!({})).await;

    let (from, to) = (time_of(2_000), time_of(3_000));
    let part = json!({"recording": "live", "speed": "max", "start": from.to_string(),
                      "end": to.to_string()});
    let (part, completed) = whole(&mut client, part).await;
    let right = records.iter().enumerate().filter(|(at, _)| (from..=to).contains(&time_of(*at)));
    assert!(right.map(|(_, record)| record.sequence).eq(numbers(&part)), "both ends included");
    assert_eq!((long(&completed["first"]), long(&completed["last"])), (from, to));
}

#[tokio::test]
async fn it_is_filtered_by_symbol_and_runs_beside_a_live_subscription() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 5_000).await;
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*", "snapshot": false})).await;
    let one = client.records(1).await.pop().unwrap();
    let symbol = client.ledger.symbol(one.instrument).to_owned();
    let asked = json!({"recording": "live", "speed": "max", "symbols": [symbol]});
    let (records, _) = whole(&mut client, asked).await;
    assert!(records.len() > 20, "{} of {symbol}", records.len());
    assert!(records.iter().all(|r| r.instrument == one.instrument));
    // The live stream has gone on meanwhile, and its counts are its own.
    client.records(100).await;
    client.heartbeat().await;
    let other = json!({"recording": "live", "schema": "mbp-10", "speed": "max"});
    assert_eq!(client.refused("replay", other).await, (404, "unknown_schema".to_owned()));
}

#[tokio::test]
async fn it_goes_on_into_the_live_stream_without_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    // Longer than the ring.
    reach(&server, 40_000).await;
    let mut client = Client::connect(&server).await;
    let asked = json!({"recording": "live", "speed": "max", "then": "live",
                       "schema": "trades", "symbols": "*"});
    let (mut records, completed) = whole(&mut client, asked).await;
    assert_eq!(completed["then"], "live");
    loop {
        match client.next().await {
            Message::Text(text) if text["type"] == "live" => break,
            Message::Text(text) => assert_ne!(text["type"], "gap", "{text}"),
            Message::Batch(batch) => {
                records.extend(batch.records.into_iter().filter(|r| !r.is_mapping()));
            }
            _ => {}
        }
    }
    records.extend(client.records(5_000).await);
    client.heartbeat().await;
    assert!(records.len() > 45_000);
    assert!(numbers(&records).into_iter().eq(1..=records.len() as u32), "in order, once each");
}

#[tokio::test]
async fn what_lies_in_the_future_goes_on_live_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 20_000).await;
    let mut client = Client::connect(&server).await;
    let start = (now() + 3_600_000_000_000).to_string();
    let asked = json!({"recording": "live", "start": start, "then": "live", "schema": "trades",
                       "symbols": "*"});
    let (none, completed) = whole(&mut client, asked).await;
    assert!(none.is_empty() && long(&completed["seq"]) > 15_000, "{completed}");
    let records = numbers(&client.records(100).await);
    assert!(records[0] > 15_000 && records.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[tokio::test]
async fn a_loop_begins_again_and_counts_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 1_000).await;
    let mut client = Client::connect(&server).await;
    let asked = json!({"recording": "live", "speed": "max", "then": "loop"});
    let (first, _) = whole(&mut client, asked).await;
    for pass in 2..=3 {
        let messages = client.until(is("replay_completed")).await;
        let Some(Message::Text(completed)) = messages.last().cloned() else { panic!("no end") };
        assert_eq!(long(&completed["records"]), (pass * first.len()) as u64);
        assert_eq!(numbers(&replayed(messages)), numbers(&first));
    }
    client.granted("stop", json!({})).await;
    client.heartbeat().await;
}

#[tokio::test]
async fn what_can_not_be_done_is_refused_and_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = recorder(&folder);
    reach(&server, 1_000).await;
    let mut client = Client::connect(&server).await;
    for (method, params, right) in [
        ("pause", json!({}), (409, "wrong_state")),
        ("replay", json!({"recording": "yesterday"}), (404, "unknown_recording")),
        ("replay", json!({"recording": "../../etc"}), (404, "unknown_recording")),
        ("replay", json!({"recording": "live", "symbols": ["NOPE"]}), (404, "unknown_symbol")),
        ("replay", json!({"recording": "live", "speed": 0}), (400, "bad_params")),
    ] {
        let (code, reason) = client.refused(method, params.clone()).await;
        assert_eq!((code, reason.as_str()), right, "{method} {params}");
    }
    client.granted("replay", json!({"recording": "live", "speed": 0.01})).await;
    let again = client.refused("replay", json!({"recording": "live"})).await;
    assert_eq!(again, (409, "wrong_state".to_owned()));
    let other = client.refused("pause", json!({"replay": 99})).await;
    assert_eq!(other, (409, "wrong_state".to_owned()));
    client.granted("stop", json!({})).await;
    let (records, _) = whole(&mut client, json!({"recording": "live", "speed": "max"})).await;
    assert!(records.len() >= 1_000);
}

#[tokio::test]
async fn a_server_without_a_tape_says_so() {
    let server = metronome(100, &[]);
    let mut client = Client::connect(&server).await;
    let (code, reason) = client.refused("replay", json!({"recording": "live"})).await;
    assert_eq!((code, reason.as_str()), (404, "unknown_recording"));
}
