//! SIGTERM while clients are in every state.

use std::io::Write;

use serde_json::json;

use crate::raw::{Raw, handshake};
use crate::server::Server;

#[test]
fn a_drain_ends_whatever_its_clients_do() {
    let server = Server::start(&[
        "--scenario",
        "calm",
        "--rate",
        "20000",
        "--symbols",
        "20000",
        "--queue",
        "128KiB",
        "--drain",
        "2s",
    ]);
    let wish = |policy: &str| json!({"schema": "mbp-1", "symbols": "*", "policy": policy});
    let mut reader = Raw::open(&server, "json");
    assert_eq!(reader.ask(1, "subscribe", wish("conflate"))["success"], true);
    let mut joining = Raw::with_small_buffer(&server, "json");
    joining.say(&json!({"id": 1, "method": "subscribe", "params": wish("disconnect")}).to_string());
    let mut behind = Raw::with_small_buffer(&server, "dbn");
    let slow = json!({"schema": "mbp-1", "symbols": "*", "policy": "conflate", "snapshot": false});
    assert_eq!(behind.ask(1, "subscribe", slow)["success"], true);
    let idle = Raw::open(&server, "dbn");
    let silent = server.connect();
    let mut half = server.connect();
    half.write_all(&handshake("/v1/stream").as_bytes()[..40]).unwrap();
    server.wait_until("one is behind, one joins", |server| {
        let sessions = server.sessions();
        let there = |state: &str| sessions.iter().any(|session| session["state"] == state);
        there("behind") && there("joining")
    });
    server.terminate();
    let ending = reader.ending();
    assert_eq!((ending.closing, ending.code, ending.closed), (Some(1012), Some(1012), true));
    assert_eq!(server.ended().code(), Some(0));
    drop((joining, behind, idle, silent, half));
}
