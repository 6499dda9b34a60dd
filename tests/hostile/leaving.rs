//! SIGTERM while clients are in every state.

use std::io::Write;

use serde_json::{Value, json};

use crate::raw::{Raw, handshake};
use crate::server::Server;

fn long(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[test]
fn a_drain_ends_whatever_its_clients_do() {
    let server = Server::start(&[
        "--scenario",
        "calm",
        "--rate",
        "20000",
        "--queue",
        "128KiB",
        "--drain",
        "2s",
    ]);
    let states = json!({"schema": "mbp-1", "symbols": "*", "snapshot": false});
    let all = ["mbp-1", "trades", "bbo-1s", "ohlcv-1s", "status", "definition"];
    let mut reader = Raw::open(&server, "json");
    assert_eq!(reader.ask(1, "subscribe", states.clone())["success"], true);
    let mut joining = Raw::with_small_buffer(&server, "json");
    assert_eq!(
        joining.ask(1, "subscribe", json!({"schema": all, "symbols": "*"}))["success"],
        true
    );
    let mut behind = Raw::with_small_buffer(&server, "dbn");
    assert_eq!(behind.ask(1, "subscribe", states)["success"], true);
    while behind.next().unwrap().payload[1] != 0 {}
    let idle = Raw::open(&server, "dbn");
    let silent = server.connect();
    let mut half = server.connect();
    half.write_all(&handshake("/v1/stream").as_bytes()[..40]).unwrap();
    server.wait_until("one is behind, one joins", |server| {
        let sessions = server.sessions();
        let conflated = |s: &Value| long(&s["subscriptions"][0]["conflated"]) > 0;
        sessions.iter().any(conflated) && sessions.iter().any(|s| s["state"] == "joining")
    });
    server.terminate();
    let ending = reader.ending();
    assert_eq!((ending.closing, ending.code, ending.closed), (Some(1012), Some(1012), true));
    assert_eq!(server.ended().code(), Some(0));
    drop((joining, behind, idle, silent, half));
}
