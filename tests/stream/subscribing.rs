//! Subscribing: what is asked for comes, nothing else does, and what can't come is said.

use std::collections::HashSet;

use dbn::rtype;
use serde_json::{Value, json};

use crate::client::Client;
use crate::wire::Message;
use crate::{market, metronome};

#[tokio::test]
async fn the_answer_precedes_every_record() {
    let server = metronome(20_000, &[]);
    for _ in 0..10 {
        let mut client = Client::connect(&server).await;
        let id = client.send("subscribe", json!({"schema": "trades", "symbols": "*"})).await;
        // The ledger fails at a record that nobody has asked for yet.
        client.text(|text| text["id"] == id).await;
        client.records(100).await;
    }
}

#[tokio::test]
async fn a_list_of_schemas_brings_each_of_them_and_no_other() {
    let server = market(4_000, &[]);
    let mut client = Client::connect(&server).await;
    let schemas = ["mbp-1", "trades", "bbo-1s"];
    client.subscribe(json!({"schema": schemas, "symbols": "*", "snapshot": false})).await;
    let mut seen = HashSet::new();
    while seen.len() < schemas.len() {
        seen.extend(client.batch().await.records.iter().map(|record| record.rtype));
        seen.remove(&rtype::SYMBOL_MAPPING);
    }
    assert_eq!(seen, HashSet::from([rtype::MBP_1, rtype::MBP_0, rtype::BBO_1S]));
}

#[tokio::test]
async fn unknown_symbols_are_rejected_beside_good_ones() {
    let server = metronome(2_000, &[]);
    let mut client = Client::connect(&server).await;
    let asked = json!({"schema": "trades", "symbols": ["AAPL", "NOPE", "MSFT", "", "N*PE"]});
    assert_eq!(client.refused("subscribe", asked).await, (400, "bad_params".to_owned()));
    let asked = json!({"schema": "trades", "symbols": ["AAPL", "NOPE", "MSFT", "nope"]});
    let result = client.subscribe(asked).await;
    let rejected = |symbol| json!({"symbol": symbol, "code": 404, "reason": "unknown_symbol"});
    assert_eq!(result["rejected"], json!([rejected("NOPE"), rejected("nope")]));
    assert_eq!(result["count"], 2);
    let names = |list: &Value| -> HashSet<String> {
        let list = list.as_array().unwrap();
        list.iter().map(|one| one["symbol"].as_str().unwrap().to_owned()).collect()
    };
    let two = HashSet::from(["AAPL".to_owned(), "MSFT".to_owned()]);
    assert_eq!(names(&result["instruments"]), two);
    let came: HashSet<u32> = client.records(50).await.iter().map(|r| r.instrument).collect();
    assert_eq!(
        came.iter().map(|id| client.ledger.symbol(*id).to_owned()).collect::<HashSet<_>>(),
        two
    );
}

#[tokio::test]
async fn a_list_is_answered_as_one_and_granted_whole_or_not_at_all() {
    let server = metronome(2_000, &[]);
    let mut client = Client::connect(&server).await;
    let (good, bad) = (
        json!({"schema": "trades", "symbols": "AAPL"}),
        json!({"schema": "trades", "symbols": "NOPE"}),
    );
    assert_eq!(client.refused("subscribe", json!([good, bad])).await.0, 404);
    let left = client.granted("subscriptions", Value::Null).await;
    assert_eq!(left["subscriptions"], json!([]), "nothing of a refused request is done");
    let other = json!({"schema": ["status", "trades"], "symbols": ["MSFT", "NVDA"]});
    let result = client.subscribe(json!([good, other])).await;
    let counts: Vec<_> =
        result["subscriptions"].as_array().unwrap().iter().map(|s| s["count"].as_u64()).collect();
    assert_eq!(counts, [Some(1), Some(2)]);
    client.records(50).await;
    client.granted("unsubscribe", json!({"schema": "trades", "symbols": "*"})).await;
    client.heartbeat().await;
}

#[tokio::test]
async fn one_object_in_a_list_is_answered_as_a_list() {
    let server = metronome(100, &[]);
    let mut client = Client::connect(&server).await;
    let result = client.subscribe(json!([{"schema": "trades", "symbols": "*"}])).await;
    assert_eq!(result["subscriptions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn instruments_are_left_out_for_all_and_count_stays() {
    let server = metronome(2_000, &["--symbols", "2000"]);
    let mut client = Client::connect(&server).await;
    let quiet = |symbols: Value| json!({"schema": "trades", "symbols": symbols, "snapshot": false});
    let all = client.subscribe(quiet(json!("*"))).await;
    assert_eq!((&all["count"], all.get("instruments")), (&json!(2000), None));
    let some = client.subscribe(quiet(json!("A*"))).await;
    let listed = some["instruments"].as_array().unwrap();
    assert_eq!(some["count"], listed.len());
    assert!(listed.iter().all(|one| one["symbol"].as_str().unwrap().starts_with('A')));
    let many =
        client.subscribe(quiet(json!(["*A*", "*E*", "*I*", "*O*", "*U*", "*S*", "*T*"]))).await;
    assert!(many["count"].as_u64().unwrap() > 1024, "{many}");
    assert_eq!(many.get("instruments"), None);
}

#[tokio::test]
async fn patterns_bring_what_matches_them() {
    let server = metronome(4_000, &[]);
    let mut client = Client::connect(&server).await;
    let result =
        client.subscribe(json!({"schema": "trades", "symbols": ["A*", "*T", "MS*T"]})).await;
    let count = result["count"].as_u64().unwrap();
    let mut came = HashSet::new();
    // The metronome's instruments take turns; the ledger holds each record to the patterns.
    while (came.len() as u64) < count {
        came.extend(client.batch().await.records.iter().map(|record| record.instrument));
    }
    assert!(count > 5 && count < 100, "{count}");
    client.heartbeat().await;
}

#[tokio::test]
async fn tbbo_is_the_trades_of_mbp_1() {
    let server = market(4_000, &[]);
    let mut client = Client::connect(&server).await;
    let (tbbo, mbp) =
        (json!({"schema": "tbbo", "symbols": "*"}), json!({"schema": "mbp-1", "symbols": "*"}));
    client.subscribe(tbbo).await;
    assert!(client.records(100).await.iter().all(|record| record.tbbo));
    client.heartbeat().await;
    client.subscribe(mbp).await;
    client.records(500).await;
    client.heartbeat().await;
    assert!(client.ledger.wishes[0].records < client.ledger.wishes[1].records + 500);
}

#[tokio::test]
async fn a_schema_and_its_part_in_one_subscription_count_a_record_once() {
    let server = market(4_000, &[]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": ["mbp-1", "tbbo"], "symbols": "*"})).await;
    client.records(1_000).await;
    client.heartbeat().await;
}

#[tokio::test]
async fn requests_that_wait_for_a_snapshot_are_all_answered() {
    let server = market(1_000, &["--symbols", "20000", "--message-burst", "200"]);
    let mut client = Client::connect(&server).await;
    client.send("subscribe", json!({"schema": "definition", "symbols": "*"})).await;
    for _ in 0..120 {
        client.send("unsubscribe", json!({"subscription": 99})).await;
    }
    let mut refusals = std::collections::HashMap::<String, u32>::new();
    while client.ledger.unanswered() > 0 {
        let answer = client.text(|text| text["method"].is_string()).await;
        let reason = answer["error"]["reason"].as_str().unwrap_or("none").to_owned();
        *refusals.entry(reason).or_default() += 1;
    }
    assert_eq!((refusals["none"], refusals["unknown_subscription"]), (1, 120), "{refusals:?}");
}

#[tokio::test]
async fn a_second_subscription_while_the_first_is_on_its_way_waits_its_turn() {
    let server = market(5_000, &["--symbols", "5000"]);
    let mut client = Client::connect(&server).await;
    let big = json!({"schema": ["definition", "mbp-1"], "symbols": "*"});
    let first = client.send("subscribe", big.clone()).await;
    let second = client.send("subscribe", json!({"schema": "trades", "symbols": "*"})).await;
    let third = client.send("unsubscribe", json!({"subscription": 1})).await;
    let fourth = client.send("subscribe", big).await;
    client.text(|text| text["id"] == first).await;
    let on_the_way = client.until(|m| matches!(m, Message::Text(t) if t["id"] == second)).await;
    let done = |m: &Message| matches!(m, Message::Text(t) if t["type"] == "snapshot_done");
    assert_eq!(on_the_way.iter().filter(|m| done(m)).count(), 1, "before the second answer");
    client.text(|text| text["id"] == third).await;
    client.text(|text| text["id"] == fourth).await;
    client.told("snapshot_done").await;
    client.records(1_000).await;
    client.heartbeat().await;
    assert_eq!(client.ledger.wishes.iter().map(|wish| wish.id).collect::<Vec<_>>(), [2, 3]);
}
