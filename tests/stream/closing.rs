//! The end: SIGTERM, twice, and a feed that is over. Everybody is told, and frames stay whole.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::metronome;
use crate::recording::{Kind, record};
use crate::wire::{Message, long};

/// Reads to the end, and finds what `closing` said.
async fn farewell(client: &mut Client) -> Value {
    let rest = client.rest().await;
    let closing = rest.iter().find_map(|message| match message {
        Message::Text(text) if text["type"] == "closing" => Some(text.clone()),
        _ => None,
    });
    closing.expect("closing precedes the close frame")
}

#[tokio::test]
async fn on_sigterm_every_client_is_told_and_the_exit_is_clean() {
    let server = metronome(10_000, &["--drain", "20s", "--queue", "64MiB"]);
    let mut clients = Vec::new();
    for n in 0..12 {
        let (mut client, _) =
            Client::connect_as(&server, if n % 2 == 0 { "dbn" } else { "json" }).await;
        if n % 3 > 0 {
            client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
        }
        clients.push(client);
    }
    // One whose unread data fills the kernel: it is told all the same.
    let mut unread = Client::connect_narrow(&server).await;
    unread.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    clients[1].records(5_000).await;
    server.terminate();
    let mut pauses = HashSet::new();
    for client in clients.iter_mut().chain([&mut unread]) {
        let closing = farewell(client).await;
        assert_eq!(client.ledger.closed, Some(1012));
        assert_eq!((&closing["code"], &closing["reason"]), (&json!(1012), &json!("drain")));
        assert_eq!(long(&closing["epoch"]), client.ledger.epoch.unwrap());
        assert!(long(&closing["seq"]) >= client.ledger.seq, "{closing}");
        pauses.insert(closing["reconnect_after_ms"].as_u64().unwrap());
    }
    assert!(pauses.len() > 8, "coming back is spread: {pauses:?}");
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let server = metronome(20_000, &["--drain", "1h", "--queue", "128KiB"]);
    let mut told = Client::connect(&server).await;
    let mut unread = Client::connect_narrow(&server).await;
    unread.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    told.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    told.records(20_000).await;
    server.terminate();
    farewell(&mut told).await;
    let begun = Instant::now();
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(30), "it waits for nobody");
}

#[tokio::test]
async fn while_it_drains_nobody_comes_in() {
    let server = metronome(100, &["--drain", "1h"]);
    let mut told = Client::connect(&server).await;
    let (_idle, _) = Client::connect_as(&server, "dbn").await;
    server.terminate();
    farewell(&mut told).await;
    let address = server.address.clone();
    let again = tokio::net::TcpStream::connect(address).await;
    let comes_in = match again {
        Ok(stream) => {
            let url = format!("ws://{}/v1/stream", server.address);
            let shake = tokio_tungstenite::client_async(url, stream);
            tokio::time::timeout(Duration::from_secs(30), shake)
                .await
                .is_ok_and(|shake| shake.is_ok())
        }
        Err(_) => false,
    };
    assert!(!comes_in);
}

#[tokio::test]
async fn a_feed_that_is_over_is_told_and_with_exit_closes() {
    let recording = record(500, |n| (Kind::Trade, n % 5 + 1, n * 10));
    let server = recording.play(1, &["--exit", "--speed", "max"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    let rest = client.rest().await;
    assert_eq!(client.ledger.records, 500, "all of it came before the end");
    let said = |kind: &str, field: &str| {
        let texts = rest.iter().filter_map(|message| match message {
            Message::Text(text) if text["type"] == kind => Some(text[field].clone()),
            _ => None,
        });
        texts.collect::<Vec<Value>>()
    };
    assert_eq!(said("status", "state"), ["ended"]);
    assert_eq!(said("closing", "message"), ["the feed has ended"]);
    assert_eq!(client.ledger.closed, Some(1001));
    assert_eq!(server.ended().code(), Some(0));
}
