//! Requests that are wrong, and right ones in numbers that no client needs.

use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::{Value, json};

use crate::raw::{Raw, frame};
use crate::server::Server;
use crate::witness::Witness;

const UNLIMITED: [&str; 4] = ["--message-rate", "1000000", "--message-burst", "1000000"];

#[test]
fn what_is_wrong_is_refused_by_name() {
    let server = Server::start(&UNLIMITED);
    let mut raw = Raw::open(&server, "json");
    let subscribe = |params: &str| format!(r#"{{"id":1,"method":"subscribe","params":{params}}}"#);
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("\"N{n}\"")).collect();
        subscribe(&format!(r#"{{"schema":"trades","symbols":[{}]}}"#, names.join(",")))
    };
    for (code, reason, text) in [
        (400, "malformed", r#"{"id":1}"#.to_owned()),
        (400, "malformed", r#"{"id":1,"method":7}"#.to_owned()),
        (400, "malformed", r#"{"id":1,"method":"ping","more":1}"#.to_owned()),
        (400, "malformed", r#"{"id":1,"method":"ping"}{}"#.to_owned()),
        (400, "unknown_method", r#"{"id":1,"method":"drop table"}"#.to_owned()),
        (400, "bad_params", r#"{"id":1,"method":"ping","params":[]}"#.to_owned()),
        (400, "bad_params", subscribe("null")),
        (400, "bad_params", subscribe("[]")),
        (400, "bad_params", subscribe(r#"{"schema":"trades"}"#)),
        (400, "bad_params", subscribe(r#"{"schema":"trades","symbols":[]}"#)),
        (400, "bad_params", subscribe(r#"{"schema":"trades","symbols":[["AAPL"]]}"#)),
        (400, "bad_params", subscribe(r#"{"schema":"trades","symbols":"*","max_rate":3}"#)),
        (400, "bad_params", subscribe(r#"{"schema":"mbp-1","symbols":"*","max_rate":-1}"#)),
        (400, "bad_params", subscribe(r#"{"schema":"mbp-1","symbols":"*","policy":"none"}"#)),
        (400, "bad_params", subscribe(r#"{"schema":"trades","symbols":"*","from":{"seq":1}}"#)),
        (404, "unknown_schema", subscribe(r#"{"schema":"tirades","symbols":"*"}"#)),
        (404, "unknown_symbol", subscribe(r#"{"schema":"trades","symbols":"NOPE"}"#)),
        (404, "unknown_symbol", names(1024)),
        (405, "too_many_symbols", names(1025)),
        (409, "wrong_state", subscribe(r#"{"schema":"trades","symbols":"*","policy":"catch_up"}"#)),
        (
            410,
            "not_retained",
            subscribe(r#"{"schema":"trades","symbols":"*","from":{"epoch":"1","seq":"1"}}"#),
        ),
        (
            404,
            "unknown_subscription",
            r#"{"id":1,"method":"unsubscribe","params":{"subscription":9}}"#.into(),
        ),
    ] {
        raw.say(&text);
        let answer = raw.answer_to(1);
        let error = &answer["error"];
        assert_eq!((&error["code"], &error["reason"]), (&json!(code), &json!(reason)), "{text}");
        assert_eq!(answer["success"], false);
    }
    for text in ["", "[]", "null", r#"{"id":-1,"method":"ping"}"#, "{", &"[".repeat(50_000)] {
        raw.say(text);
        let error = raw.until(|message| message["type"] == "error");
        assert_eq!(error["error"]["reason"], "malformed", "{text}");
    }
    assert_eq!(raw.ask(2, "subscriptions", json!({}))["result"]["subscriptions"], json!([]));
}

#[test]
fn mutations_of_requests_get_one_answer_each() {
    let server = Server::start(&UNLIMITED);
    let witness = Witness::start(&server);
    let mut raw = Raw::open(&server, "json");
    let sound = [
        r#"{"id":"a","method":"subscribe","params":{"schema":["bbo-1s","status"],"symbols":["AAPL","A*"],"max_rate":100,"policy":"conflate","snapshot":false}}"#,
        r#"{"id":2,"method":"subscribe","params":[{"schema":"trades","symbols":"*","from":{"epoch":"1","seq":1}}]}"#,
        r#"{"id":3,"method":"unsubscribe","params":{"schema":"status","symbols":["A*"]}}"#,
        r#"{"id":4,"method":"unsubscribe","params":{"subscription":1}}"#,
        r#"{"id":5,"method":"subscriptions","params":{"after":1}}"#,
        r#"{"id":6,"method":"ping","params":{"data":"x"}}"#,
    ];
    let mut random = Pcg64::seed_from_u64(2);
    let alphabet: Vec<char> = r#"{}[]",:0-9.eE+*\ué"#.chars().collect();
    let mut sent = 0;
    for _ in 0..1_500 {
        let mut text: Vec<char> = sound[random.random_range(0..sound.len())].chars().collect();
        for _ in 0..random.random_range(0..4) {
            let at = random.random_range(0..text.len());
            let other = alphabet[random.random_range(0..alphabet.len())];
            match random.random_range(0..3) {
                0 => text[at] = other,
                1 => text.insert(at, other),
                _ => drop(text.remove(at)),
            }
        }
        raw.say(&text.into_iter().collect::<String>());
        sent += 1;
    }
    // Unlike others, one that changes subscriptions waits for all that do so before it.
    let last = r#"{"id":"the last one","method":"unsubscribe","params":{"subscription":0}}"#;
    raw.say(last);
    let mut answers = 0;
    loop {
        let message = raw.next().unwrap().json();
        if message["id"] == "the last one" {
            break;
        }
        answers += u32::from(message.get("success").is_some() || message["type"] == "error");
    }
    assert_eq!(answers, sent, "answers to as many requests");
    witness.lost_nothing();
}

#[test]
fn good_symbols_are_taken_beside_unknown_ones() {
    let server = Server::start(&[]);
    let mut raw = Raw::open(&server, "json");
    let page: Value = serde_json::from_str(&server.page("/v1/instruments")).unwrap();
    let known = page["instruments"][0]["symbol"].clone();
    let symbols = json!(["NOPE", known, "NO*PE", "\"\\\u{e9}"]);
    let answer = raw.ask(2, "subscribe", json!({"schema": "trades", "symbols": symbols}));
    assert_eq!((&answer["success"], &answer["result"]["count"]), (&json!(true), &json!(1)));
    let rejected: Vec<&Value> =
        answer["result"]["rejected"].as_array().unwrap().iter().map(|r| &r["symbol"]).collect();
    assert_eq!(rejected, [&json!("NOPE"), &json!("\"\\\u{e9}")]);
}

/// Ten thousand requests in a row, in one write.
fn flood() -> Vec<u8> {
    let params = json!({"schema": "trades", "symbols": "*", "snapshot": false});
    let request = |id| json!({"id": id, "method": "subscribe", "params": params}).to_string();
    (0..10_000).flat_map(|id| frame(0x81, request(id).as_bytes())).collect()
}

#[test]
fn a_flood_of_requests_gets_as_many_answers() {
    let server = Server::start(&[]);
    let witness = Witness::start(&server);
    let mut raw = Raw::open(&server, "json");
    let mut writer = raw.stream.try_clone().unwrap();
    let sending =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, &flood()).unwrap());
    let (mut granted, mut refused) = (0_u64, 0_u64);
    let mut answered = HashSet::new();
    while answered.len() < 10_000 {
        let message = raw.next().unwrap().json();
        let Some(id) = message["id"].as_u64() else { continue };
        assert!(answered.insert(id), "{id} is answered twice");
        match message["success"].as_bool().unwrap() {
            true => granted += 1,
            false => {
                assert_eq!(message["error"]["code"], 429);
                refused += 1;
            }
        }
    }
    assert_eq!(granted + refused, 10_000);
    sending.join().unwrap();
    assert!((50..256).contains(&granted), "{granted} granted");
    witness.lost_nothing();
}

#[test]
fn a_flood_whose_answers_nobody_reads_is_not_read_on() {
    let server = Server::start(&[]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let mut raw = Raw::with_small_buffer(&server, "json");
    raw.stream.set_nonblocking(true).unwrap();
    let flood = flood();
    let mut taken = 0;
    // Until neither side's kernel has room for more.
    while let Ok(count) = std::io::Write::write(&mut raw.stream, &flood[taken % flood.len()..]) {
        taken += count;
        assert!(taken < 100 << 20, "it is read on and on");
        std::thread::yield_now();
    }
    raw.reset();
    server.wait_for_quiet(1, before);
    witness.lost_nothing();
}

#[test]
fn hundreds_of_subscriptions_on_one_connection_take_nothing_from_another() {
    let server = Server::start(&UNLIMITED);
    let witness = Witness::start(&server);
    let mut raw = Raw::open(&server, "dbn");
    let wish = json!({"schema": ["bbo-1s", "status"], "symbols": "*", "max_rate": 100});
    let list: Vec<&Value> = std::iter::repeat_n(&wish, 64).collect();
    for id in 0..4 {
        let answer = raw.ask(id, "subscribe", json!(list));
        assert_eq!(answer["success"], true, "{answer}");
    }
    let more = raw.ask(9, "subscribe", wish.clone());
    assert_eq!(more["error"]["reason"], "too_many_subscriptions");
    for id in (1..=256).step_by(2) {
        let answer = raw.ask(1_000 + id, "unsubscribe", json!({"subscription": id}));
        assert_eq!(answer["success"], true, "{answer}");
    }
    let rest = raw.ask(2_000, "unsubscribe", json!({"schema": "status", "symbols": "*"}));
    assert_eq!(rest["result"]["subscriptions"].as_array().unwrap().len(), 128);
    witness.lost_nothing();
}
