//! Coming back with `from`: everything behind a position, once, or a plain no.

use serde_json::{Value, json};

use crate::client::Client;
use crate::market;
use crate::metronome;
use crate::program::Program;
use crate::snapshots::truth;
use crate::wire::{CATCH_UP, Message, Record, SNAPSHOT, long};

/// Reads from a `from` to `live` and `more` records beyond; what came, and how much before `live`.
async fn follow(client: &mut Client, from: Value, more: usize) -> (Vec<Record>, usize) {
    let asked = json!({"schema": ["trades", "mbp-1"], "symbols": "*", "from": from});
    client.subscribe(asked).await;
    let mut records = Vec::new();
    let live = loop {
        match client.next().await {
            Message::Batch(batch) => {
                let mapped = batch.records.iter().all(Record::is_mapping);
                let right = if mapped { SNAPSHOT } else { CATCH_UP };
                assert_eq!(batch.flags, right, "mappings, then what was missed");
                records.extend(batch.records.into_iter().filter(|r| !r.is_mapping()));
            }
            Message::Text(text) if text["type"] == "live" => break text,
            _ => {}
        }
    };
    assert_eq!(long(&live["records"]), records.len() as u64);
    let before = records.len();
    while records.len() < before + more {
        let batch = client.batch().await;
        assert_eq!(batch.flags, 0, "after live");
        records.extend(batch.records);
    }
    client.heartbeat().await;
    (records, before)
}

fn wanted(record: &&Record) -> bool {
    matches!(record.rtype, dbn::rtype::MBP_0 | dbn::rtype::MBP_1)
}

/// Waits until the server has published so much.
async fn reach(server: &Program, seq: u64) -> (Client, String) {
    let mut client = Client::connect(server).await;
    while client.ledger.seq < seq {
        client.heartbeat().await;
    }
    let epoch = client.ledger.epoch.unwrap().to_string();
    (client, epoch)
}

#[tokio::test]
async fn from_a_position_comes_everything_behind_it_once() {
    let server = market(3_000, &["--symbols", "20", "--heartbeat", "50ms"]);
    let (client, epoch) = reach(&server, 3_000).await;
    for seq in [0, 1_234, client.ledger.seq] {
        let mut client = Client::connect(&server).await;
        let (came, before) = follow(&mut client, json!({"epoch": epoch, "seq": seq}), 500).await;
        assert!(seq > 1_234 || before > 1_000, "{before}");
        let all = truth(&server, client.ledger.seq).await;
        let right: Vec<_> = all[seq as usize..].iter().filter(wanted).take(came.len()).collect();
        assert!(came.iter().eq(right), "from {seq}");
    }
}

#[tokio::test]
async fn a_client_that_comes_back_with_its_own_cursor_misses_nothing() {
    let server = metronome(3_000, &[]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*", "snapshot": false})).await;
    let mut sequences: Vec<u32> = Vec::new();
    for _ in 0..4 {
        while sequences.len() % 500 < 400 {
            sequences.extend(
                client.batch().await.records.iter().filter(|r| !r.is_mapping()).map(|r| r.sequence),
            );
        }
        let (epoch, seq) =
            (client.ledger.epoch.unwrap().to_string(), client.ledger.seq.to_string());
        client = Client::connect(&server).await;
        let from = json!({"epoch": epoch, "seq": seq});
        client.subscribe(json!({"schema": "trades", "symbols": "*", "from": from})).await;
        sequences.extend(client.records(100).await.iter().map(|r| r.sequence));
    }
    let (first, last) = (sequences[0], *sequences.last().unwrap());
    assert!(sequences.iter().copied().eq(first..=last), "every one, once");
}

#[tokio::test]
async fn from_a_time_comes_what_was_published_since() {
    let server = market(3_000, &["--symbols", "20", "--heartbeat", "50ms"]);
    let (client, epoch) = reach(&server, 2_000).await;
    let all = truth(&server, client.ledger.seq).await;
    let time = all[1_500].ts_out;
    for (time, first) in [(time, time), (time + 1, time + 1), (0, 0)] {
        let mut client = Client::connect(&server).await;
        let (came, _) = follow(&mut client, json!({"time": time.to_string()}), 100).await;
        let all = truth(&server, client.ledger.seq).await;
        let right = all.iter().filter(wanted).skip_while(|r| r.ts_out < first).take(came.len());
        assert!(came.iter().eq(right), "since {time} of epoch {epoch}");
    }
}

#[tokio::test]
async fn a_list_with_the_same_from_is_one_stream() {
    let server = market(3_000, &["--symbols", "20", "--heartbeat", "50ms"]);
    let (_, epoch) = reach(&server, 2_000).await;
    let wish = |schema: &str, seq: u64| {
        let from = json!({"epoch": epoch, "seq": seq});
        json!({"schema": schema, "symbols": "*", "from": from})
    };
    let mut client = Client::connect(&server).await;
    let differ = client.refused("subscribe", json!([wish("trades", 5), wish("mbp-1", 6)])).await;
    assert_eq!(differ, (400, "bad_params".to_owned()));
    client.subscribe(json!([wish("trades", 500), wish("mbp-1", 500), wish("tbbo", 500)])).await;
    let came = client.records(1_500).await;
    client.heartbeat().await;
    let all = truth(&server, client.ledger.seq).await;
    let right = all[500..].iter().filter(wanted).take(came.len());
    assert!(came.iter().eq(right), "each record once");
}

#[tokio::test]
async fn what_is_not_retained_is_refused_with_410() {
    let server = metronome(20_000, &["--ring", "64KiB", "--heartbeat", "50ms"]);
    let (mut client, epoch) = reach(&server, 5_000).await;
    let gone = (410, "not_retained".to_owned());
    let other = epoch.parse::<u64>().unwrap() ^ 1;
    for from in [
        json!({"epoch": epoch, "seq": 0}),
        json!({"epoch": epoch, "seq": 100}),
        json!({"epoch": epoch, "seq": u64::MAX.to_string()}),
        json!({"epoch": other.to_string(), "seq": client.ledger.seq}),
        json!({"time": 1}),
    ] {
        let asked = json!({"schema": "trades", "symbols": "*", "from": from});
        assert_eq!(client.refused("subscribe", asked).await, gone, "{from}");
    }
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    client.records(100).await;
}

#[tokio::test]
async fn beside_live_subscriptions_there_is_no_coming_back() {
    let server = metronome(1_000, &[]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "AAPL"})).await;
    let epoch = client.ledger.epoch.unwrap().to_string();
    let from = json!({"schema": "trades", "symbols": "*", "from": {"epoch": epoch, "seq": 0}});
    let refused = (409, "wrong_state".to_owned());
    assert_eq!(client.refused("subscribe", from.clone()).await, refused);
    client.granted("unsubscribe", json!({"subscription": 1})).await;
    client.subscribe(from).await;
    client.told("live").await;
    client.heartbeat().await;
}
