//! Requests and answers: one each, in order of the queue, times, pings, the closing handshake.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Bytes};

use crate::client::{Client, now};
use crate::metronome;
use crate::wire::{Message, long};

#[tokio::test]
async fn the_server_speaks_first_and_says_its_limits() {
    let server = metronome(100, &["--queue", "256KiB", "--heartbeat", "50ms"]);
    let before = now();
    let (_, welcome) = Client::connect_as(&server, "json").await;
    assert_eq!((&welcome["type"], &welcome["version"]), (&json!("welcome"), &json!(1)));
    assert_eq!((&welcome["encoding"], &welcome["heartbeat_ms"]), (&json!("json"), &json!(50)));
    let limits = json!({"message_max": "65536", "message_rate": 20, "message_burst": 50,
        "symbols_per_request": 1024, "subscriptions": 256, "queue": "262144"});
    assert_eq!(welcome["limits"], limits);
    assert!((before..=now()).contains(&long(&welcome["server_time"])), "{before} {welcome}");
    let (_, second) = Client::connect_as(&server, "dbn").await;
    assert_ne!(welcome["session"], second["session"]);
    assert_eq!((&second["encoding"], &second["epoch"]), (&json!("dbn"), &welcome["epoch"]));
}

#[tokio::test]
async fn every_request_gets_one_answer_that_says_what_it_answers() {
    let server = metronome(1_000, &[]);
    let mut client = Client::connect(&server).await;
    // All at once: the ledger pairs each answer with its request, and refuses a second one.
    let star = json!({"schema": "trades", "symbols": "*"});
    for (method, params) in [
        ("ping", Value::Null),
        ("subscribe", star.clone()),
        ("subscriptions", Value::Null),
        ("no_such_method", Value::Null),
        ("subscribe", json!({"schema": "nonsense", "symbols": "*"})),
        ("unsubscribe", json!({"subscription": 77})),
        ("subscribe", star),
        ("unsubscribe", json!({"subscription": 1})),
        ("subscriptions", json!({"after": 1})),
    ] {
        client.send(method, params).await;
    }
    let last = client.send("ping", json!({"data": "last"})).await;
    client.text(|text| text["id"] == last).await;
    while client.ledger.unanswered() > 0 {
        client.next().await;
    }
    client.heartbeat().await;
}

#[tokio::test]
async fn refusals_have_the_code_of_their_reason() {
    let server = metronome(100, &["--symbols-per-request", "3", "--subscriptions", "2"]);
    let mut client = Client::connect(&server).await;
    for (method, params, right) in [
        ("nonsense", Value::Null, (400, "unknown_method")),
        ("subscribe", json!({"schema": "trades"}), (400, "bad_params")),
        ("subscribe", json!({"schema": "tradez", "symbols": "*"}), (404, "unknown_schema")),
        ("subscribe", json!({"schema": "trades", "symbols": "NOPE"}), (404, "unknown_symbol")),
        (
            "subscribe",
            json!({"schema": "trades", "symbols": ["A", "B", "C", "D"]}),
            (405, "too_many_symbols"),
        ),
        (
            "subscribe",
            json!(vec![json!({"schema": "trades", "symbols": "*"}); 3]),
            (406, "too_many_subscriptions"),
        ),
        (
            "subscribe",
            json!({"schema": "trades", "symbols": "*", "policy": "catch_up"}),
            (409, "wrong_state"),
        ),
        ("unsubscribe", json!({"subscription": 9}), (404, "unknown_subscription")),
        ("unsubscribe", json!({"schema": "trades", "symbols": "*"}), (404, "unknown_subscription")),
    ] {
        let (code, reason) = client.refused(method, params.clone()).await;
        assert_eq!((code, reason.as_str()), right, "{method} {params}");
    }
    assert_eq!(client.granted("subscriptions", Value::Null).await["subscriptions"], json!([]));
}

#[tokio::test]
async fn what_is_no_request_is_an_error_of_its_own() {
    let server = metronome(100, &[]);
    let mut client = Client::connect(&server).await;
    client.send_raw(tungstenite::Message::text("{} x")).await;
    let error = client.told("error").await;
    assert_eq!(
        (&error["error"]["code"], &error["error"]["reason"]),
        (&400.into(), &"malformed".into())
    );
    assert!(long(&error["server_time"]) > 0);
    client.granted("ping", Value::Null).await;
}

#[tokio::test]
async fn messages_beyond_the_rate_are_refused_and_answered() {
    let server = metronome(100, &["--message-rate", "1", "--message-burst", "3"]);
    let mut client = Client::connect(&server).await;
    for _ in 0..6 {
        client.send("ping", Value::Null).await;
    }
    let mut refused = 0;
    for _ in 0..6 {
        let answer = client.text(|text| text["method"] == "ping").await;
        let reason = &answer["error"]["reason"];
        assert!(reason.is_null() || reason == "too_many_requests", "{answer}");
        refused += u32::from(answer["success"] == false);
    }
    assert!((1..=3).contains(&refused), "{refused} of 6, with 3 at once and 1 a second");
}

#[tokio::test]
async fn a_ping_is_echoed_with_times_of_its_arrival_and_its_answer() {
    let server = metronome(5_000, &[]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    for n in 0..20 {
        let data = format!("sample {n}");
        let sent = now();
        let pong = client.granted("ping", json!({"data": data})).await;
        let times = [sent, long(&pong["time_in"]), long(&pong["time_out"]), now()];
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(pong["data"], data);
    }
    assert!(client.granted("ping", Value::Null).await.get("data").is_none());
}

#[tokio::test]
async fn pings_of_both_sides_are_answered() {
    let server = metronome(100, &["--ping", "100ms", "--pong-timeout", "60s"]);
    let mut client = Client::connect(&server).await;
    client.send_raw(tungstenite::Message::Ping(Bytes::from_static(b"are you there"))).await;
    let pong =
        |message: &Message| matches!(message, Message::Pong(data) if data == b"are you there");
    client.until(pong).await;
    for _ in 0..3 {
        client.until(|message| matches!(message, Message::Ping)).await;
    }
}

#[tokio::test]
async fn a_client_whose_pongs_stop_is_told_and_closed() {
    let server = metronome(100, &["--ping", "100ms", "--pong-timeout", "400ms"]);
    let client = Client::connect(&server).await;
    // Bytes read below the WebSocket, so that no pong answers.
    let wire = String::from_utf8_lossy(&client.raw_rest().await).into_owned();
    let told = wire.find(r#""type":"closing","code":4001,"reason":"no_pong""#).expect(&wire);
    assert!(wire[told..].contains("reconnect_after_ms\":") && wire.ends_with("no_pong"), "{wire}");
}

#[tokio::test]
async fn the_clients_close_is_echoed_and_ends_the_connection() {
    let server = metronome(20_000, &[]);
    for code in [1000, 3999] {
        let mut client = Client::connect(&server).await;
        client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
        client.records(1_000).await;
        let frame = CloseFrame { code: code.into(), reason: "done".into() };
        client.send_raw(tungstenite::Message::Close(Some(frame))).await;
        let rest = tokio::time::timeout(Duration::from_secs(60), client.rest()).await.unwrap();
        assert_eq!(client.ledger.closed, Some(code), "after {} messages", rest.len());
        let closing = |m: &Message| matches!(m, Message::Text(text) if text["type"] == "closing");
        assert!(!rest.iter().any(closing), "closing is for closes by the server");
    }
}
