//! Clients that do not read: told, bounded, treated by their policies, and nobody else's loss.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::client::{Client, page};
use crate::program::Program;
use crate::recording::{Kind, Recording, record};
use crate::wire::{CONFLATED, Message, Record, SNAPSHOT, long};

const INSTRUMENTS: u32 = 20;
const RECORDS: u32 = 20_000;
const QUEUE: u64 = 128 << 10;

/// Far more than a queue and the kernel's buffers hold, within two seconds.
fn flood(kind: Kind) -> Recording {
    record(RECORDS, |n| (kind, n % INSTRUMENTS + 1, n * 100))
}

fn play(recording: &Recording) -> Program {
    recording.play(2, &["--queue", "128KiB", "--heartbeat", "100ms", "--shards", "1"])
}

/// A client that reads, to the end: it gets everything, in order.
async fn healthy(client: &mut Client) -> Vec<Record> {
    let records = client.records(RECORDS as usize).await;
    assert!(records.iter().map(|r| r.sequence).eq(1..=RECORDS), "no hole");
    records
}

fn text_of<'a>(messages: &'a [Message], kind: &str) -> Option<&'a Value> {
    messages.iter().find_map(|message| match message {
        Message::Text(text) if text["type"] == kind => Some(text),
        _ => None,
    })
}

#[tokio::test]
async fn states_are_conflated_counted_and_end_as_the_last_ones() {
    let recording = flood(Kind::Quote);
    let server = play(&recording);
    let mut slow = Client::connect_narrow(&server).await;
    let mut reader = Client::connect(&server).await;
    slow.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
    reader.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
    let whole = healthy(&mut reader).await;
    let sessions = page(&server, "/v1/sessions").await;
    for session in sessions["sessions"].as_array().unwrap() {
        assert!(long(&session["queued_bytes"]) <= QUEUE, "{session}");
    }

    let total = u64::from(RECORDS);
    let accounted = |message: &Message| match message {
        Message::Text(text) if text["type"] == "heartbeat" => {
            let counts = &text["subscriptions"][0];
            long(&counts["records"]) + long(&counts["conflated"]) == total
        }
        _ => false,
    };
    let messages = slow.until(accounted).await;
    let lagging = text_of(&messages, "lagging").expect("it is told");
    assert_eq!(
        (&lagging["limit"], &lagging["then"]),
        (&json!(QUEUE.to_string()), &json!("conflate"))
    );
    assert!(long(&lagging["bytes"]) > QUEUE / 2 && lagging["age_ms"].is_u64(), "{lagging}");
    let mut last = HashMap::new();
    let (mut seen, mut conflated) = (0, 0);
    for message in &messages {
        let Message::Batch(batch) = message else { continue };
        assert!(batch.flags & !(CONFLATED | SNAPSHOT) == 0);
        for record in batch.records.iter().filter(|r| !r.is_mapping()) {
            conflated += u32::from(batch.flags == CONFLATED);
            seen += 1;
            last.insert(record.instrument, record.clone());
        }
    }
    assert!((1..=INSTRUMENTS * 4).contains(&conflated), "{conflated} newest states");
    assert!(seen < RECORDS / 2, "what the queue held is what was sent: {seen}");
    assert_eq!(last.len() as u32, INSTRUMENTS);
    for record in &whole[(RECORDS - INSTRUMENTS) as usize..] {
        assert_eq!(last[&record.instrument], *record, "the true last state");
    }
}

/// What a slow client gets that may lose nothing: the reason, whole frames, and its code.
async fn disconnected(recording: &Recording, schema: Value) {
    let server = play(recording);
    let mut slow = Client::connect_narrow(&server).await;
    let mut reader = Client::connect(&server).await;
    slow.subscribe(json!({"schema": schema, "symbols": "*"})).await;
    reader.subscribe(json!({"schema": ["mbp-1", "trades"], "symbols": "*"})).await;
    healthy(&mut reader).await;
    let messages = slow.rest().await;
    let closing = text_of(&messages, "closing").expect("it is told why");
    assert_eq!((&closing["code"], &closing["reason"]), (&json!(4008), &json!("slow")));
    assert!(closing["reconnect_after_ms"].is_u64(), "{closing}");
    assert_eq!(slow.ledger.closed, Some(4008));
    // What came is whole up to where it ends; with that cursor the client comes back.
    let mut back = Client::connect(&server).await;
    let from = json!({"epoch": slow.ledger.epoch.unwrap().to_string(), "seq": slow.ledger.seq});
    back.subscribe(json!({"schema": schema, "symbols": "*", "from": from})).await;
    let live = back.told("live").await;
    assert_eq!(long(&live["records"]) + slow.ledger.records, wanted(recording, &schema).await);
}

/// How many records of a recording these schemas are.
async fn wanted(recording: &Recording, schema: &Value) -> u64 {
    let server = recording.play(1, &["--speed", "max", "--heartbeat", "100ms"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": schema, "symbols": "*"})).await;
    client.told("status").await;
    while client.ledger.seq < u64::from(RECORDS) {
        client.heartbeat().await;
    }
    client.heartbeat().await;
    client.ledger.records
}

#[tokio::test]
async fn who_may_lose_nothing_is_warned_of_the_end() {
    // More than the kernel and half of the queue hold, and no more than all of it.
    let recording = record(3_000, |n| (Kind::Trade, n % INSTRUMENTS + 1, n * 100));
    let server = play(&recording);
    let mut slow = Client::connect_narrow(&server).await;
    let mut reader = Client::connect(&server).await;
    for client in [&mut slow, &mut reader] {
        client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    }
    reader.records(3_000).await;
    assert_eq!(slow.told("lagging").await["then"], "disconnect");
    while slow.ledger.records < 3_000 {
        slow.next().await;
    }
    slow.heartbeat().await;
}

#[tokio::test]
async fn events_are_not_lost_the_connection_is() {
    disconnected(&flood(Kind::Trade), json!("trades")).await;
}

#[tokio::test]
async fn trades_of_quotes_are_events() {
    disconnected(&flood(Kind::TradedQuote), json!("tbbo")).await;
}

#[tokio::test]
async fn of_both_kinds_the_events_decide() {
    let kind = |n: u32| if n.is_multiple_of(2) { Kind::Quote } else { Kind::Trade };
    let recording = record(RECORDS, |n| (kind(n), n % INSTRUMENTS + 1, n * 100));
    disconnected(&recording, json!(["mbp-1", "trades"])).await;
}
