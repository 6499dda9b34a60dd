//! Snapshots, held against the whole stream: the state as of a position, then all that came behind.

use std::collections::HashMap;

use dbn::rtype;
use serde_json::json;

use crate::client::Client;
use crate::program::Program;
use crate::wire::{Message, Record, SNAPSHOT, long};
use crate::{market, metronome};

/// Every schema of the simulated market: who asks for all of them sees every position.
const ALL: [&str; 10] = [
    "trades",
    "mbp-1",
    "status",
    "definition",
    "ohlcv-1s",
    "ohlcv-1m",
    "ohlcv-1h",
    "ohlcv-1d",
    "bbo-1s",
    "bbo-1m",
];

/// All records of a run up to a position: the record with number `n` is at `n - 1`.
pub(crate) async fn truth(server: &Program, to: u64) -> Vec<Record> {
    let mut client = Client::connect(server).await;
    let epoch = client.ledger.epoch.unwrap().to_string();
    let from = json!({"epoch": epoch, "seq": 0});
    client.subscribe(json!({"schema": ALL, "symbols": "*", "from": from})).await;
    let mut records: Vec<Record> = Vec::new();
    while (records.len() as u64) < to {
        let batch = client.batch().await;
        records.extend(batch.records.into_iter().filter(|record| !record.is_mapping()));
        assert_eq!(records.len() as u64, batch.seq, "every position is a record");
    }
    records
}

/// Subscribes, reads some of the live stream, and holds everything to the truth.
async fn check(server: &Program, schemas: &[&str], symbols: &str, rtypes: &[u8], live: usize) {
    let mut client = Client::connect(server).await;
    let result = client.subscribe(json!({"schema": schemas, "symbols": symbols})).await;
    let s = long(&result["seq"]);
    let (mut states, mut pieces, mut mapped) = (Vec::new(), 0, Vec::new());
    let done = loop {
        match client.next().await {
            Message::Batch(batch) => {
                assert_eq!((batch.flags, batch.seq), (SNAPSHOT, s), "until it is done");
                pieces += 1;
                for record in batch.records {
                    match record.is_mapping() {
                        true => mapped.push(record.instrument),
                        false => {
                            assert_eq!(mapped.last(), Some(&record.instrument), "mapping first");
                            states.push(record);
                        }
                    }
                }
            }
            Message::Text(text) if text["type"] == "snapshot_done" => break text,
            Message::Text(text) => assert_eq!(text["type"], "heartbeat"),
            _ => {}
        }
    };
    assert_eq!((&done["subscription"], long(&done["seq"])), (&result["subscription"], s));
    assert_eq!(mapped.len() as u64, result["count"].as_u64().unwrap(), "each once");
    assert!(pieces > mapped.len() / 1_000, "{pieces} pieces");
    let followed = client.records(live).await;
    client.heartbeat().await;

    let all = truth(server, client.ledger.seq).await;
    let wanted =
        |record: &&Record| rtypes.contains(&record.rtype) && mapped.contains(&record.instrument);
    let mut newest = HashMap::new();
    for record in all[..s as usize].iter().filter(wanted) {
        newest.insert((record.instrument, record.rtype), record.clone());
    }
    assert_eq!(states.len(), newest.len(), "a state for each that has one");
    for state in states {
        assert_eq!(newest.remove(&(state.instrument, state.rtype)), Some(state));
    }
    let right: Vec<&Record> =
        all[s as usize..].iter().filter(wanted).take(followed.len()).collect();
    assert_eq!(followed.len(), right.len());
    for (came, right) in followed.iter().zip(right) {
        assert_eq!(came, right, "behind the position, in order, nothing twice or missing");
    }
}

#[tokio::test]
async fn a_snapshot_is_the_state_of_its_position_and_live_follows() {
    let server = market(3_000, &["--symbols", "50"]);
    check(&server, &["trades", "mbp-1"], "A*", &[rtype::MBP_0, rtype::MBP_1], 100).await;
    let kinds = [rtype::MBP_1, rtype::STATUS, rtype::BBO_1S, rtype::INSTRUMENT_DEF];
    check(&server, &["mbp-1", "status", "bbo-1s", "definition"], "*", &kinds, 2_000).await;
}

#[tokio::test]
async fn a_large_snapshot_joins_a_running_stream_exactly() {
    let server = market(20_000, &["--symbols", "20000", "--queue", "64MiB"]);
    let kinds = [rtype::MBP_0, rtype::MBP_1, rtype::INSTRUMENT_DEF];
    check(&server, &["trades", "mbp-1", "definition"], "*", &kinds, 10_000).await;
}

#[tokio::test]
async fn without_a_snapshot_come_mappings_only() {
    let server = metronome(2_000, &["--symbols", "40"]);
    let mut client = Client::connect(&server).await;
    client.records_ready().await;
    client.subscribe(json!({"schema": "trades", "symbols": "*", "snapshot": false})).await;
    let first = client.batch().await;
    assert_eq!((first.flags, first.records.len()), (SNAPSHOT, 40));
    assert!(first.records.iter().all(Record::is_mapping));
    let next = client.batch().await;
    assert_eq!(next.flags, 0, "no state, and live at once");
    let end = client.until(|m| matches!(m, Message::Text(t) if t["type"] == "heartbeat")).await;
    let done = |m: &Message| matches!(m, Message::Text(t) if t["type"] == "snapshot_done");
    assert!(!end.iter().any(done), "there was no snapshot to be done");
}
