//! Many that come and go, in every state in which one can go.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;

use crate::raw::{Raw, frame, handshake};
use crate::server::Server;
use crate::witness::Witness;

/// Ends a connection with a reset.
fn reset(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn whoever_breaks_off_leaves_nothing_behind() {
    let server = Server::start(&["--symbols", "2000"]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let head = handshake("/v1/stream?encoding=dbn");
    let subscribe =
        json!({"id": 1, "method": "subscribe", "params": {"schema": "trades", "symbols": "*"}});
    let request = frame(0x81, subscribe.to_string().as_bytes());
    let whole = [head.as_bytes(), &request, &frame(0x01, b"{\"id\"")].concat();
    for n in 0..400 {
        let mut stream = server.connect();
        let cut = [0, 1, head.len() / 2, head.len(), head.len() + 3, whole.len() - 3, whole.len()];
        stream.write_all(&whole[..cut[n % cut.len()]]).unwrap();
        match n % 3 {
            0 => reset(&stream),
            1 => stream.shutdown(std::net::Shutdown::Write).unwrap(),
            _ => {}
        }
    }
    server.wait_for_quiet(1, before);
    witness.lost_nothing();
}

#[test]
fn all_may_ask_for_everything_at_once() {
    let server = Server::start(&["--symbols", "2000", "--message-burst", "1000"]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let mut crowd: Vec<Raw> =
        (0..60).map(|n| Raw::open(&server, if n % 2 == 0 { "json" } else { "dbn" })).collect();
    let wish = json!({"schema": "trades", "symbols": "*"});
    let request = json!({"id": 1, "method": "subscribe", "params": wish}).to_string();
    crowd.iter_mut().for_each(|raw| raw.say(&request));
    for raw in &mut crowd {
        let answer = raw.answer_to(1);
        let busy = answer["error"]["reason"] == "too_many_requests";
        assert!(answer["success"] == true || busy, "{answer}");
        if !busy {
            raw.until(|message| message["type"] == "snapshot_done");
        }
    }
    crowd.into_iter().for_each(Raw::reset);
    server.wait_for_quiet(1, before);
    witness.lost_nothing();
}

#[test]
fn requests_that_wait_for_a_snapshot_are_few_and_all_answered() {
    let limits = ["--message-rate", "1000000", "--message-burst", "20"];
    let server = Server::start(&[&["--symbols", "20000"], &limits[..]].concat());
    let mut raw = Raw::with_small_buffer(&server, "json");
    let request = |id: u64, method: &str, params: serde_json::Value| {
        let text = json!({"id": id, "method": method, "params": params}).to_string();
        frame(0x81, text.as_bytes())
    };
    raw.send(&request(0, "subscribe", json!({"schema": "trades", "symbols": "*"})));
    server.wait_until("it joins", |server| server.sessions()[0]["state"] == "joining");
    let more = json!({"schema": "trades", "symbols": "A*", "snapshot": false});
    for id in 1..40 {
        // Each with a read of its own, so that its allowance has grown again.
        raw.send(&request(id, "subscribe", more.clone()));
        std::thread::sleep(Duration::from_millis(2));
    }
    raw.send(&request(40, "ping", json!({})));
    let mut granted = Vec::new();
    let mut answers = 0;
    while answers < 41 {
        let message = raw.next().unwrap().json();
        let Some(id) = message["id"].as_u64() else { continue };
        answers += 1;
        match message["success"].as_bool().unwrap() {
            true => granted.push(id),
            false => assert_eq!(message["error"]["code"], 429, "{message}"),
        }
    }
    // The ping overtakes; of the rest those are granted that came first, in their order.
    granted.retain(|id| *id != 40);
    assert_eq!(granted, (0..=20).collect::<Vec<u64>>());
}

#[test]
fn subscriptions_that_come_and_go_are_counted_right_to_the_end() {
    let server = Server::start(&["--message-rate", "1000000", "--message-burst", "1000000"]);
    let witness = Witness::start(&server);
    let mut crowd: Vec<Raw> = (0..4).map(|_| Raw::open(&server, "json")).collect();
    for round in 0..40 {
        for (at, raw) in crowd.iter_mut().enumerate() {
            let symbols = [json!("*"), json!(["A*", "B*"]), json!(["AAPL"]), json!(["*A", "AAPL"])];
            let (symbols, snapshot) = (&symbols[(at + round) % 4], round % 2 == 0);
            let wish = json!({"schema": "trades", "symbols": symbols, "snapshot": snapshot});
            let answer = raw.ask(1, "subscribe", wish);
            let id = &answer["result"]["subscription"];
            if id.is_null() {
                assert_eq!(answer["error"]["reason"], "unknown_symbol", "{answer}");
                continue;
            }
            let ended = raw.ask(2, "unsubscribe", json!({"subscription": id}));
            assert_eq!(ended["result"]["subscriptions"], json!([]), "{ended}");
        }
    }
    assert_eq!(server.metric("broadtape_subscriptions", ""), 1.0);
    witness.lost_nothing();
}
