//! Counts of a slow client stay exact whatever happens between its stall and its return. (The
//! ledger compares every heartbeat with what came.)

use serde_json::json;

use crate::client::Client;
use crate::recording::{Kind, Recording, record};
use crate::wire::{Message, long};

const TOTAL: u32 = 12_000;

/// `head` records that fill the kernel and a part of the queue, a pause of two seconds, then a
/// flood.
fn interrupted(head: u32) -> Recording {
    let micros = move |n: u32| n * 100 + if n > head { 2_000_000 } else { 0 };
    record(TOTAL, |n| (Kind::Quote, n % 20 + 1, micros(n)))
}

/// Reads until every subscription that began at the start has accounted for all records.
async fn account(client: &mut Client) {
    let done = |message: &Message| match message {
        Message::Text(text) if text["type"] == "heartbeat" => {
            let counts = &text["subscriptions"][0];
            long(&counts["records"]) + long(&counts["conflated"]) == u64::from(TOTAL)
        }
        _ => false,
    };
    client.until(done).await;
}

#[tokio::test]
async fn a_heartbeat_that_waited_does_not_count_what_was_dropped() {
    for head in [1_000, 1_500, 2_000] {
        let recording = interrupted(head);
        let server = recording.play(2, &["--queue", "128KiB", "--heartbeat", "50ms"]);
        let mut slow = Client::connect_narrow(&server).await;
        let mut reader = Client::connect(&server).await;
        slow.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
        reader.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
        reader.records(TOTAL as usize).await;
        account(&mut slow).await;
    }
}

#[tokio::test]
async fn what_is_dropped_was_counted_for_those_who_were_there() {
    for head in [800, 900, 1_000, 1_100, 1_200] {
        let recording = interrupted(head);
        let server = recording.play(2, &["--queue", "128KiB", "--heartbeat", "50ms"]);
        let mut slow = Client::connect_narrow(&server).await;
        let mut reader = Client::connect(&server).await;
        slow.subscribe(json!([
            {"schema": "mbp-1", "symbols": "*"},
            {"schema": "mbp-1", "symbols": "?*"},
            {"schema": "mbp-1", "symbols": "*1*"},
        ]))
        .await;
        reader.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
        reader.records(head as usize).await;
        // It talks without listening: one more, and one less, while records wait for it.
        let more = json!({"schema": "mbp-1", "symbols": "*", "snapshot": false});
        slow.send("subscribe", more).await;
        slow.send("unsubscribe", json!({"schema": "mbp-1", "symbols": "*2"})).await;
        slow.send("unsubscribe", json!({"subscription": 3})).await;
        reader.records((TOTAL - head) as usize).await;
        account(&mut slow).await;
    }
}
