//! Clients that do not read, do not speak, or do neither.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::raw::{Raw, frame, handshake};
use crate::server::Server;
use crate::witness::Witness;

/// A market that fills a queue within a second or two.
const BUSY: [&str; 6] = ["--scenario", "calm", "--rate", "20000", "--queue", "128KiB"];

fn long(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Subscribes to a few books with this policy, so few that it is live at once, and reads no more
/// than the answer.
fn subscribe(server: &Server, raw: &mut Raw, policy: &str) {
    let page: Value = serde_json::from_str(&server.page("/v1/instruments?limit=20")).unwrap();
    let instruments = page["instruments"].as_array().unwrap();
    let symbols: Vec<&Value> = instruments.iter().map(|one| &one["symbol"]).collect();
    let wish = json!({"schema": "mbp-1", "symbols": symbols, "snapshot": false, "policy": policy});
    assert_eq!(raw.ask(1, "subscribe", wish)["success"], true);
}

#[test]
fn who_never_reads_is_sent_away_where_nothing_may_be_lost() {
    let server = Server::start(&BUSY);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let mut silent: Vec<Raw> = ["json", "dbn"].map(|e| Raw::with_small_buffer(&server, e)).into();
    silent.iter_mut().for_each(|raw| subscribe(&server, raw, "disconnect"));
    server.wait_for_quiet(1, before);
    assert_eq!(server.metric("broadtape_closes_total", "slow"), 2.0);
    witness.lost_nothing();
}

#[test]
fn who_reads_again_in_time_is_told_why_it_was_sent_away() {
    let server = Server::start(&BUSY);
    let mut raw = Raw::with_small_buffer(&server, "dbn");
    subscribe(&server, &mut raw, "disconnect");
    let closing = |server: &Server| server.metric("broadtape_closes_total", "slow") > 0.0;
    server.wait_until("it is sent away", closing);
    let ending = raw.ending();
    assert_eq!((ending.closing, ending.code, ending.closed), (Some(4008), Some(4008), true));
}

#[test]
fn who_never_reads_states_waits_for_them_within_its_queue() {
    let server = Server::start(&BUSY);
    let witness = Witness::start(&server);
    for encoding in ["json", "dbn"] {
        let mut raw = Raw::with_small_buffer(&server, encoding);
        subscribe(&server, &mut raw, "conflate");
        let waiting = |server: &Server| {
            let sessions = server.sessions();
            let conflated = |s: &Value| s["subscriptions"][0]["conflated"] != "0";
            let session = sessions.iter().find(|session| conflated(session));
            session.is_some_and(|session| long(&session["queued_bytes"]) <= 128 << 10)
        };
        server.wait_until("it is conflated for", waiting);
        let lagging = raw.until(|message| message["type"] == "lagging");
        assert_eq!(lagging["then"], "conflate");
        let beat = raw.until(|message| {
            let count = &message["subscriptions"][0]["conflated"];
            message["type"] == "heartbeat" && count.as_str().is_some_and(|count| count != "0")
        });
        assert_eq!(beat["subscriptions"][0]["dropped"], "0");
        raw.reset();
    }
    witness.lost_nothing();
}

#[test]
fn those_who_do_nothing_cost_nothing() {
    let server = Server::start(&["--scenario", "calm", "--rate", "1", "--drain", "1s"]);
    let mut idle: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for stream in &mut idle[..20] {
        stream.write_all(&handshake("/v1/stream").as_bytes()[..30]).unwrap();
    }
    let mut deaf: Vec<Raw> = (0..5).map(|_| Raw::with_small_buffer(&server, "json")).collect();
    for raw in &mut deaf {
        raw.stream.set_nonblocking(true).unwrap();
        let pings = frame(0x89, &[b'x'; 125]).repeat(1_000);
        let request = frame(0x81, br#"{"id":1,"method":"subscriptions"}"#).repeat(500);
        let both = [pings, request].concat();
        let mut taken = 0;
        while let Ok(count) = raw.stream.write(&both[taken % both.len()..]) {
            taken += count;
        }
    }
    let mut open: Vec<Raw> = (0..50).map(|_| Raw::open(&server, "dbn")).collect();
    server.wait_until("their answers wait", |server| {
        let sessions = server.sessions();
        let waiting = sessions.iter().filter(|session| session["queued_bytes"] != "0");
        waiting.count() == deaf.len()
    });
    let before = server.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = server.cpu() - before;
    assert!(spent < Duration::from_millis(300), "{spent:?} of CPU in an idle second");
    open.iter_mut().for_each(|raw| assert_eq!(raw.ask(1, "ping", json!({}))["success"], true));
}

#[test]
fn who_never_says_what_it_wants_is_let_go() {
    let server = Server::start(&["--handshake-timeout", "300ms"]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    for said in ["", "G", "GET /v1/stream HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-"] {
        let answer = server.answer(said.as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{said:?}: {answer:?}");
    }
    server.wait_for_quiet(1, before);
    witness.lost_nothing();
}

#[test]
fn who_answers_no_ping_is_sent_away() {
    let server = Server::start(&["--ping", "100ms", "--pong-timeout", "2s"]);
    let mut mute = Raw::open(&server, "json");
    let mut lively = Raw::open(&server, "json");
    let mut stream = mute.stream.try_clone().unwrap();
    let pongless = std::thread::spawn(move || {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut all).unwrap();
        all
    });
    lively.stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let beat = |message: &Value| message["type"] == "heartbeat";
    (0..4).for_each(|_| drop(lively.until(beat)));
    let all = pongless.join().unwrap();
    assert!(all.ends_with(&[0x88, 9, 0x0f, 0xa1, b'n', b'o', b'_', b'p', b'o', b'n', b'g']));
    mute.send(b"");
    assert_eq!(server.metric("broadtape_closes_total", "no_pong"), 1.0);
}
