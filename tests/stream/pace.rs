//! `max_rate`: newest states only, at most so many a second and instrument, on a grid of time that
//! all clients share, and everything left out is counted.

use std::collections::HashMap;

use serde_json::json;

use crate::client::Client;
use crate::recording::{Kind, Recording, record};
use crate::wire::{Batch, CONFLATED, Message, Record, SNAPSHOT, long};
use crate::{market, metronome};

const SECOND: u64 = 1_000_000_000;

/// Three seconds of three instruments, a thousand records a second.
fn busy(kind: Kind) -> Recording {
    record(3_000, |n| (kind, n % 3 + 1, n * 1_000))
}

/// Fails where an instrument comes more often than once in a cell of the grid. A frame's clock is
/// the wall's, which may run ahead of or behind the one that ticks: a quarter of a cell is allowed
/// for. It is read when the frame is sent, which on a busy machine is after the tick, and what
/// follows `live` comes before the first tick: so a frame may stand for the cell before its own,
/// but no cell is stood for twice.
fn on_grid(batches: &[Batch], rate: u64) {
    let mut last: HashMap<(u32, u8), u64> = HashMap::new();
    for batch in batches {
        let period = SECOND / rate;
        let own = (batch.ts_send + period / 4) / period;
        for record in batch.records.iter().filter(|record| !record.is_mapping()) {
            let cell = last.entry((record.instrument, record.rtype)).or_insert(own - 2);
            *cell = (*cell + 1).max(own - 1);
            assert!(*cell <= own, "twice in a tick: {record:?}");
        }
    }
}

/// Reads until a subscription has accounted for so many records; its batches, and what was left
/// out.
async fn account(client: &mut Client, total: u64) -> (Vec<Batch>, u64) {
    let mut batches = Vec::new();
    loop {
        match client.next().await {
            Message::Batch(batch) if batch.flags & SNAPSHOT == 0 => batches.push(batch),
            Message::Text(text) if text["type"] == "heartbeat" => {
                let counts = &text["subscriptions"][0];
                let conflated = long(&counts["conflated"]);
                if long(&counts["records"]) + conflated == total {
                    return (batches, conflated);
                }
            }
            _ => {}
        }
    }
}

async fn paced(kind: Kind, schema: &str) {
    let recording = busy(kind);
    let server = recording.play(2, &["--heartbeat", "100ms"]);
    let mut slow = Client::connect(&server).await;
    let mut all = Client::connect(&server).await;
    slow.subscribe(json!({"schema": schema, "symbols": "*", "max_rate": 5})).await;
    all.subscribe(json!({"schema": schema, "symbols": "*"})).await;
    let whole = all.records(3_000).await;
    let (batches, conflated) = account(&mut slow, 3_000).await;
    assert!(batches.iter().all(|batch| batch.flags == CONFLATED));
    on_grid(&batches, 5);
    let came: Vec<&Record> = batches.iter().flat_map(|batch| &batch.records).collect();
    assert_eq!(came.len() as u64 + conflated, 3_000, "what an unpaced client got");
    assert!((30..=60).contains(&came.len()), "three instruments, three seconds: {}", came.len());
    for instrument in 1..=3 {
        let last = |records: &mut dyn Iterator<Item = &Record>| {
            records.filter(|r| r.instrument == instrument).last().unwrap().clone()
        };
        assert_eq!(last(&mut came.iter().copied()), last(&mut whole.iter()), "the newest state");
    }
}

#[tokio::test]
async fn states_come_at_most_so_often_and_the_rest_is_counted() {
    paced(Kind::Quote, "mbp-1").await;
}

#[tokio::test]
async fn events_may_be_thinned_out_by_explicit_wish() {
    paced(Kind::Trade, "trades").await;
}

#[tokio::test]
async fn trades_of_quotes_may_be_thinned_out_as_well() {
    paced(Kind::TradedQuote, "tbbo").await;
}

#[tokio::test]
async fn all_clients_share_the_grid_and_the_bytes() {
    let server = metronome(2_000, &["--symbols", "5", "--shards", "1"]);
    let asked = json!({"schema": "trades", "symbols": "*", "max_rate": 10, "snapshot": false});
    let mut first = Client::connect(&server).await;
    first.subscribe(asked.clone()).await;
    first.records(10).await;
    let mut second = Client::connect(&server).await;
    second.subscribe(asked).await;
    let mut later = Vec::new();
    while later.len() < 5 {
        later.extend(Some(second.batch().await).filter(|batch| batch.flags == CONFLATED));
    }
    let mut earlier = Vec::new();
    while earlier.len() < 5 {
        let batch = first.batch().await;
        earlier.extend(Some(batch).filter(|batch| batch.ts_send >= later[0].ts_send));
    }
    assert_eq!(earlier, later);
}

#[tokio::test]
async fn on_the_way_to_the_live_stream_the_rate_holds() {
    let server = market(4_000, &["--symbols", "6000"]);
    let mut client = Client::connect(&server).await;
    let states = json!({"schema": "mbp-1", "symbols": "*", "max_rate": 2, "snapshot": false});
    client.subscribe(states).await;
    client.records(500).await;
    // While thousands of definitions are sent, nothing of the first may come at its full rate.
    let id = client.send("subscribe", json!({"schema": "definition", "symbols": "*"})).await;
    client.text(|text| text["id"] == id).await;
    let mut batches = Vec::new();
    let mut heartbeats = 0;
    while heartbeats < 2 {
        match client.next().await {
            Message::Batch(batch) if batch.flags & SNAPSHOT == 0 => {
                assert_eq!(batch.flags, CONFLATED);
                batches.push(batch);
            }
            Message::Text(text) => heartbeats += u32::from(text["type"] == "heartbeat"),
            _ => {}
        }
    }
    on_grid(&batches, 2);
}

#[tokio::test]
async fn coming_back_with_a_rate_brings_newest_states() {
    let recording = busy(Kind::Quote);
    let server = recording.play(1, &["--heartbeat", "100ms"]);
    let mut all = Client::connect(&server).await;
    all.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
    all.records(1_500).await;
    let epoch = all.ledger.epoch.unwrap().to_string();
    let mut back = Client::connect(&server).await;
    let from = json!({"epoch": epoch, "seq": 0});
    back.subscribe(json!({"schema": "mbp-1", "symbols": "*", "max_rate": 5, "from": from})).await;
    let live = back.told("live").await;
    assert_eq!(live["records"], "0", "what was missed is left out, and counted");
    let (batches, _) = account(&mut back, 3_000).await;
    on_grid(&batches, 5);
}

#[tokio::test]
async fn two_rates_and_none_beside_each_other_count_what_came() {
    let server = metronome(1_000, &["--symbols", "20"]);
    for rates in [json!([1, 10]), json!([10, 2]), json!([5, 0]), json!([0, 50])] {
        let mut client = Client::connect(&server).await;
        for rate in rates.as_array().unwrap() {
            let mut asked = json!({"schema": "trades", "symbols": "*", "snapshot": false});
            if rate.as_u64() != Some(0) {
                asked["max_rate"] = rate.clone();
            }
            client.subscribe(asked).await;
            client.records(20).await;
        }
        // The ledger compares the counts of both with what came.
        client.heartbeat().await;
        client.heartbeat().await;
    }
}
