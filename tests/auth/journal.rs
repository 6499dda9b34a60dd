//! The access log: who came, and how it went.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{Client, PATIENCE};
use crate::program::Program;
use crate::world::{World, all};

fn start(world: &World, log: &Path, filter: &str) -> Program {
    let keys = world.path("keys.toml");
    let args = ["serve", "--auth=required", "--auth-keys", keys.to_str().unwrap(), "--log", filter];
    let more = ["--rate=200", "--symbols=3", "--enable-echo", "--drain=2s"];
    Program::start_with_log(File::create(log).unwrap(), &[&args[..], &more].concat())
}

/// The lines of the access log.
fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    // The last one may not be whole yet.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "access").collect()
}

/// Waits for the line that a session has ended.
fn closed(log: &Path, session: &Value) -> Value {
    let number: u64 = session.as_str().unwrap().parse().unwrap();
    let begun = Instant::now();
    loop {
        let found = lines(log);
        let ended = |line: &&Value| line["session"] == number && line["message"] == "closed";
        if let Some(line) = found.iter().find(ended) {
            return line.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{session} has not ended: {found:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn each_stream_has_a_line_when_it_begins_and_one_when_it_ends() {
    let world = World::without_server();
    let log = world.path("log");
    let server = start(&world, &log, "info");
    let token = world.token("alice", all());
    let mut alice = Client::connect(&server, Some(&token));
    alice.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
    for _ in 0..5 {
        alice.records();
    }
    let session = alice.welcome["session"].clone();
    drop(alice);
    let line = closed(&log, &session);
    assert!(line["user"] == "alice" && line["path"] == "/v1/stream", "{line}");
    assert!(line["records"].as_u64().unwrap() >= 5, "{line}");
    assert!(line["bytes"].as_u64().unwrap() > 500 && line["duration_ms"].is_u64(), "{line}");
    let gone = ["client_gone", "reset"].map(Value::from);
    assert!(gone.contains(&line["reason"]) && line["code"].is_null(), "{line}");
    let begun = lines(&log).into_iter().find(|line| line["message"] == "opened").unwrap();
    assert!(begun["session"] == line["session"] && begun["peer"] == line["peer"], "{begun}");
    assert!(begun["user"] == "alice" && begun["tls"].is_null(), "{begun}");

    // Who says later who it is; and the reason for which the server closes.
    let mut late = Client::connect(&server, None);
    late.granted("auth", json!({"token": token}));
    let mut guesser = Client::connect(&server, None);
    for _ in 0..4 {
        guesser.refused("auth", json!({"token": "a.b.c"}));
    }
    guesser.closed();
    let line = closed(&log, &guesser.welcome["session"]);
    assert!(line["code"] == 4500 && line["reason"] == "auth_failed", "{line}");
    assert!(line["user"].is_null() && line["records"] == 0, "{line}");
    let session = late.welcome["session"].clone();
    server.terminate();
    assert_eq!(late.closed().0, 1012);
    drop(late);
    server.ended();
    let line = closed(&log, &session);
    assert!(line["user"] == "alice" && line["code"] == 1012 && line["reason"] == "drain", "{line}");
    let lines = lines(&log);
    let count = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!((count("opened"), count("closed")), (3, 3), "{lines:?}");
}

#[test]
fn a_second_sigterm_leaves_nobody_without_a_line() {
    let world = World::without_server();
    let log = world.path("log");
    let server = start(&world, &log, "info");
    // So many that not all have been told by then; none of them leaves by itself.
    let token = world.token("alice", all());
    let clients: Vec<Client> = (0..150).map(|_| Client::connect(&server, Some(&token))).collect();
    server.terminate();
    let begun = Instant::now();
    while !fs::read_to_string(&log).unwrap().contains("\"draining\"") {
        assert!(begun.elapsed() < PATIENCE, "it does not begin to drain");
    }
    server.terminate();
    assert!(server.ended().success());
    let lines = lines(&log);
    let (mut opened, mut closed) = (BTreeSet::new(), BTreeSet::new());
    for line in &lines {
        let sessions = if line["message"] == "opened" { &mut opened } else { &mut closed };
        assert!(sessions.insert(line["session"].as_u64()), "once: {line}");
        assert!(line["message"] == "opened" || line["reason"] == "drain", "{line}");
    }
    assert!(closed == opened && closed.len() == clients.len(), "{lines:?}");
}

#[test]
fn it_can_be_turned_off_by_itself() {
    let world = World::without_server();
    let log = world.path("log");
    let server = start(&world, &log, "info,access=off");
    drop(Client::connect(&server, Some(&world.token("alice", all()))));
    server.stop();
    assert!(fs::read_to_string(&log).unwrap().contains("draining"));
    assert!(lines(&log).is_empty());
}
