//! `status`: what became of a feed, told to everybody.

use std::fs;

use serde_json::json;

use crate::client::{Client, now};
use crate::market;
use crate::recording::{Kind, record};
use crate::wire::long;

#[tokio::test]
async fn a_feed_that_stalls_is_told_and_so_is_its_return() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent.toml");
    fs::write(&path, "about = 'silence'\n[[stall]]\nat = '1s'\nfor = '6s'\n").unwrap();
    let server = market(1_000, &["--scenario", path.to_str().unwrap()]);
    let before = now();
    let mut asking = Client::connect(&server).await;
    let (mut idle, _) = Client::connect_as(&server, "json").await;
    asking.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    for client in [&mut asking, &mut idle] {
        let stalled = client.told("status").await;
        assert_eq!(
            (&stalled["source"], &stalled["state"]),
            (&json!("sim silent"), &json!("stalled"))
        );
        let since = long(&stalled["since"]);
        assert!((before..now() - 4_000_000_000).contains(&since), "{before} {stalled}");
        assert!(stalled["message"].as_str().is_some_and(|words| !words.is_empty()));
        let resumed = client.told("status").await;
        assert_eq!(
            (&resumed["source"], &resumed["state"]),
            (&json!("sim silent"), &json!("resumed"))
        );
    }
    asking.records(100).await;
    asking.heartbeat().await;
}

#[tokio::test]
async fn a_recording_that_ends_is_told_behind_its_records() {
    let recording = record(300, |n| (Kind::Quote, 1, n * 100));
    let server = recording.play(1, &["--heartbeat", "50ms"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
    let ended = client.told("status").await;
    assert_eq!(ended["state"], "ended", "{ended}");
    assert!(ended["source"].as_str().unwrap().starts_with("replay"), "{ended}");
    // It stays up: the client is told that nothing was missed.
    client.heartbeat().await;
    client.heartbeat().await;
    assert_eq!(client.ledger.records, 300);
}
