//! Heartbeats: they come when nothing else does, and their counts are exactly what came. (The
//! ledger compares every one of them.)

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::wire::long;
use crate::{market, metronome};

#[tokio::test]
async fn without_subscriptions_the_cursor_still_moves() {
    let server = metronome(1_000, &["--heartbeat", "50ms"]);
    let mut client = Client::connect(&server).await;
    let first = client.heartbeat().await;
    assert_eq!((&first["records"], &first["subscriptions"]), (&json!("0"), &json!([])));
    let mut last = long(&first["seq"]);
    for _ in 0..5 {
        let next = client.heartbeat().await;
        assert!(long(&next["server_time"]) > long(&first["server_time"]));
        assert!(long(&next["seq"]) >= last, "{next}");
        last = long(&next["seq"]);
    }
    assert!(last > long(&first["seq"]));
}

#[tokio::test]
async fn quiet_is_not_dead() {
    // One trade a second: between two of them the client is told that it missed none.
    let server = metronome(1, &["--heartbeat", "50ms"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    for _ in 0..2 {
        client.records(1).await;
        for _ in 0..3 {
            client.heartbeat().await;
        }
    }
}

#[tokio::test]
async fn under_load_one_comes_every_five_seconds() {
    let server = metronome(5_000, &["--heartbeat", "100ms"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    let begun = Instant::now();
    client.heartbeat().await;
    client.heartbeat().await;
    // How late the second one is depends on the machine; that it is not the quiet one does not.
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(client.ledger.records > 10_000);
}

#[tokio::test]
async fn a_record_that_several_ask_for_is_sent_once_and_counts_in_each() {
    let server = market(4_000, &["--symbols", "40"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*", "snapshot": false})).await;
    client.records(200).await;
    client.subscribe(json!({"schema": ["trades", "mbp-1"], "symbols": ["AAPL", "A*"]})).await;
    client.records(200).await;
    client.subscribe(json!({"schema": "tbbo", "symbols": "*", "snapshot": false})).await;
    let records = client.records(1_000).await;
    let mut trades: Vec<u32> =
        records.iter().filter(|r| r.rtype == dbn::rtype::MBP_0).map(|r| r.sequence).collect();
    let before = trades.len();
    trades.dedup();
    assert_eq!(trades.len(), before, "the venue numbers each trade once");
    client.heartbeat().await;
    client.granted("unsubscribe", json!({"subscription": 1})).await;
    client.records(200).await;
    client.heartbeat().await;
    let [second, third] = &client.ledger.wishes[..] else { panic!("two are left") };
    assert!(second.records > 0 && third.records > 0);
    assert!(second.records + third.records < client.ledger.records + second.records);
}

#[tokio::test]
async fn the_list_of_subscriptions_counts_as_heartbeats_do() {
    let server = metronome(5_000, &[]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    for _ in 0..5 {
        client.records(300).await;
        let listed = client.granted("subscriptions", Value::Null).await;
        let listed = &listed["subscriptions"][0];
        assert_eq!(long(&listed["records"]), client.ledger.wishes[0].records, "{listed}");
    }
}
