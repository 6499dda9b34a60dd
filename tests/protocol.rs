//! The protocol's own text: its examples are read by the parser, its tables hold what the code has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use broadtape::limits::{self, ClientLimits};
use broadtape::wire::batch::FLAGS;
use broadtape::wire::close::CloseReason;
use broadtape::wire::error::ErrorCode;
use broadtape::wire::json;
use broadtape::wire::record::{self, PUBLISHER_SIM, TradeMsg, bytes_of, publish_into, rtype};
use broadtape::wire::request::{METHODS, parse};
use serde_json::Value;

const TEXT: &str = include_str!("../docs/protocol.md");

/// Messages of the examples that begin with this mark.
fn examples(mark: &str) -> Vec<&'static str> {
    let mut inside = false;
    let line = |line: &'static str| {
        inside = if line.starts_with("```") { line == "```json" } else { inside };
        inside.then(|| line.strip_prefix(mark)).flatten()
    };
    TEXT.lines().filter_map(line).collect()
}

#[test]
fn every_request_is_understood_or_refused_as_it_says() {
    let answers: Vec<Value> =
        examples("<- ").iter().map(|text| serde_json::from_str(text).expect(text)).collect();
    let mut methods = Vec::new();
    for text in examples("-> ") {
        let id = &serde_json::from_str::<Value>(text).unwrap()["id"];
        let answer = answers.iter().find(|answer| answer["id"] == *id).expect(text);
        match parse(text, &ClientLimits::default()) {
            Ok(request) => {
                assert_eq!(answer["success"], true, "{text}");
                methods.push(request.method.name());
            }
            Err(refused) => {
                assert_eq!(answer["success"], false, "{text}");
                assert_eq!(answer["error"]["code"], refused.error.code.code());
                assert_eq!(answer["error"]["message"], *refused.error.message);
            }
        }
    }
    assert!(METHODS.iter().all(|method| methods.contains(method)), "{methods:?}");
}

#[test]
fn every_kind_of_message_has_an_example() {
    let kinds: Vec<String> = examples("<- ")
        .iter()
        .map(|text| serde_json::from_str::<Value>(text).expect(text))
        .filter_map(|message| message["type"].as_str().map(str::to_owned))
        .collect();
    for kind in [
        "welcome",
        "error",
        "live",
        "replay_started",
        "replay_completed",
        "data",
        "snapshot_done",
        "heartbeat",
        "gap",
        "lagging",
        "status",
        "closing",
    ] {
        assert!(kinds.iter().any(|known| known == kind), "{kind}");
    }
}

#[test]
fn the_record_of_the_json_example_is_dbns_own_text() {
    const SECOND: u64 = 1_764_000_000_000_000_000;
    let trade = TradeMsg {
        hd: record::header::<TradeMsg>(rtype::MBP_0, PUBLISHER_SIM, 1, SECOND),
        price: 187_210_000_000,
        size: 100,
        action: b'T' as _,
        side: b'A' as _,
        flags: Default::default(),
        depth: 0,
        ts_recv: SECOND,
        ts_in_delta: 0,
        sequence: 9,
    };
    let (mut published, mut text) = (Vec::new(), Vec::new());
    publish_into(&mut published, bytes_of(&trade), SECOND + 1000);
    json::encode(&published, "AAPL", &mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(TEXT.contains(&format!(r#""records":[{text}]"#)), "{text}");
}

#[test]
fn every_code_stands_in_its_table() {
    for error in ErrorCode::ALL {
        let row = format!("| {} |", error.code());
        let line = TEXT.lines().find(|line| line.starts_with(&row)).expect(&row);
        assert!(line.contains(&format!("`{}`", error.reason())), "{error:?}");
    }
    let never_yet = [CloseReason::TakenOver];
    for reason in CloseReason::ALL.iter().filter(|reason| !never_yet.contains(reason)) {
        let Some(code) = reason.code() else { continue };
        let row = format!("| {code} | `{}`", reason.name());
        assert!(TEXT.lines().any(|line| line.starts_with(&row)), "{row}");
    }
}

#[test]
fn defaults_and_flags_are_those_of_the_code() {
    let welcome: Value = serde_json::from_str(examples("<- ")[0]).unwrap();
    let limits = ClientLimits::default();
    assert_eq!(welcome["limits"]["message_max"], limits.message_max.to_string());
    assert_eq!(welcome["limits"]["message_rate"], limits.rate);
    assert_eq!(welcome["limits"]["message_burst"], limits.burst);
    assert_eq!(welcome["limits"]["symbols_per_request"], limits.symbols);
    assert_eq!(welcome["limits"]["subscriptions"], limits.subscriptions);
    assert_eq!(welcome["limits"]["queue"], limits.queue.to_string());
    assert_eq!(welcome["heartbeat_ms"], limits.heartbeat.as_millis() as u64);
    assert!(TEXT.contains(&format!("at most {}", limits::SUBSCRIPTIONS_MAX)));
    for (flag, name) in FLAGS {
        assert!(TEXT.contains(&format!("| {} | `{name}` |", flag.trailing_zeros())), "{name}");
    }
}
