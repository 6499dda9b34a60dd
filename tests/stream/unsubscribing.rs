//! Unsubscribing: nothing of what ended follows the answer. (The ledger fails at a record that no
//! subscription asks for, and at a heartbeat whose counts are not exact.)

use serde_json::{Value, json};

use crate::client::Client;
use crate::{market, metronome};

#[tokio::test]
async fn by_number_the_whole_subscription_ends() {
    let server = metronome(20_000, &[]);
    let mut client = Client::connect(&server).await;
    for _ in 0..5 {
        let result = client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
        client.records(500).await;
        let left =
            client.granted("unsubscribe", json!({"subscription": result["subscription"]})).await;
        assert_eq!(left["subscriptions"], json!([]));
        client.heartbeat().await;
    }
    client.heartbeat().await;
}

#[tokio::test]
async fn by_symbols_they_leave_every_subscription_that_has_them() {
    let server = market(5_000, &["--symbols", "30"]);
    let mut client = Client::connect(&server).await;
    let both = json!({"schema": ["trades", "mbp-1"], "symbols": ["AAPL", "MSFT", "NVDA"]});
    let one = json!({"schema": "trades", "symbols": ["AAPL", "TSLA"]});
    client.subscribe(json!([both, one])).await;
    client.records(300).await;
    let left =
        client.granted("unsubscribe", json!({"schema": "trades", "symbols": ["AAPL"]})).await;
    assert_eq!(left["subscriptions"].as_array().map(Vec::len), Some(2), "{left}");
    client.records(300).await;
    client.heartbeat().await;
    let left = client.granted("unsubscribe", json!({"schema": "trades", "symbols": "TSLA"})).await;
    assert_eq!(left["subscriptions"].as_array().map(Vec::len), Some(1), "the second is empty");
    client.records(300).await;
    client.heartbeat().await;
    let left = client.granted("unsubscribe", json!({"schema": "mbp-1", "symbols": "*"})).await;
    assert_eq!(left["subscriptions"], json!([{"subscription": 1, "count": 2}]));
    client.heartbeat().await;
    let listed = client.granted("subscriptions", Value::Null).await;
    let listed = &listed["subscriptions"][0];
    assert_eq!(
        (&listed["schema"], &listed["symbols"]),
        (&json!(["trades"]), &json!(["MSFT", "NVDA"]))
    );
}

#[tokio::test]
async fn symbols_are_taken_out_of_patterns_but_not_of_all() {
    let server = metronome(5_000, &[]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": "trades", "symbols": "A*"})).await;
    client.records(100).await;
    client.granted("unsubscribe", json!({"schema": "trades", "symbols": ["AAPL", "AM*"]})).await;
    client.records(100).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    client.records(500).await;
    let asked = json!({"schema": "trades", "symbols": ["MSFT"]});
    assert_eq!(client.refused("unsubscribe", asked).await, (400, "bad_params".to_owned()));
    let asked = json!({"schema": "trades", "symbols": ["NOPE"]});
    assert_eq!(client.refused("unsubscribe", asked).await.0, 400, "not from all either");
    client.records(500).await;
    client.heartbeat().await;
    let left = client.granted("unsubscribe", json!({"schema": "trades", "symbols": "*"})).await;
    assert_eq!(left["subscriptions"], json!([]), "a schema as a whole");
    client.heartbeat().await;
}

#[tokio::test]
async fn the_list_of_subscriptions_is_what_was_asked_for_with_counts() {
    let server = market(3_000, &["--symbols", "30"]);
    let mut client = Client::connect(&server).await;
    client.subscribe(json!({"schema": ["status", "trades"], "symbols": "*"})).await;
    let paced = json!({"schema": "mbp-1", "symbols": ["A*"], "max_rate": 10, "policy": "conflate"});
    client.subscribe(paced).await;
    client.records(200).await;
    let listed = client.granted("subscriptions", Value::Null).await;
    let listed = listed["subscriptions"].as_array().unwrap();
    for (wish, listed) in client.ledger.wishes.iter().zip(listed) {
        assert_eq!(listed["subscription"], wish.id);
        assert_eq!(crate::wire::long(&listed["records"]), wish.records, "{listed}");
    }
    assert_eq!((&listed[0]["symbols"], &listed[0]["count"]), (&json!("*"), &json!(30)));
    assert_eq!((&listed[1]["max_rate"], &listed[1]["policy"]), (&json!(10), &json!("conflate")));
    let rest = client.granted("subscriptions", json!({"after": 1})).await;
    assert_eq!(rest["subscriptions"].as_array().map(Vec::len), Some(1));
}
