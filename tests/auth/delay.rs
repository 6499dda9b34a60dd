//! A delayed feed: every record, in order, and none before it is old enough, whether the ring still
//! has it or the tape.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, is_snapshot, page};
use crate::program::Program;
use crate::world::World;

const SECOND: u64 = 1_000_000_000;
const DELAY: u64 = 2;

fn rights() -> Value {
    json!({"schemas": "*", "symbols": "*", "history": "all", "replay": true, "delay": DELAY})
}

/// Evenly paced trades, 1,000 a second, numbered without a hole.
fn metronome(more: &[&str]) -> World {
    World::new(&[&["--scenario", "metronome", "--rate", "1000"], more].concat())
}

fn ns(value: &Value) -> u64 {
    let text = value.as_str().unwrap();
    let plain = text.parse().ok();
    plain.unwrap_or_else(|| {
        let time: jiff::Timestamp = text.parse().unwrap();
        u64::try_from(time.as_nanosecond()).unwrap()
    })
}

/// Takes so many records, each old enough when it was sent, and each the next one.
fn read_on(client: &mut Client, records: usize, last: &mut Option<u64>) {
    let mut taken = 0;
    while taken < records {
        let data = client.until(|m| m["type"] == "data" && !is_snapshot(m));
        let sent = ns(&data["ts_send"]);
        for record in data["records"].as_array().unwrap() {
            if record["hd"]["rtype"] == 22 {
                continue;
            }
            let age = sent.saturating_sub(ns(&record["ts_out"]));
            assert!(age >= DELAY * SECOND, "{age} ns old: {record}");
            let sequence = record["sequence"].as_u64().unwrap();
            assert!(last.is_none_or(|last| sequence == last + 1), "{last:?}, then {sequence}");
            *last = Some(sequence);
            taken += 1;
        }
    }
    assert!(client.told.iter().all(|told| told["type"] != "gap"), "{:?}", client.told);
}

/// Waits until the server runs for longer than the delay.
fn wait(server: &Program, world: &World) {
    let token = world.token("waiter", json!({}));
    let mut waiter = Client::connect(server, Some(&token));
    let first = ns(&waiter.welcome["server_time"]);
    waiter.until(|m| {
        m["type"] == "heartbeat" && ns(&m["server_time"]) > first + (DELAY + 2) * SECOND
    });
}

#[test]
fn the_ring_serves_a_delay_that_it_holds() {
    let world = metronome(&[]);
    let token = world.token("late", rights());
    for begins in ["at the start", "later"] {
        if begins == "later" {
            wait(world.server(), &world);
        }
        let mut client = Client::connect(world.server(), Some(&token));
        client.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
        let done = client.until(|message| message["type"] == "snapshot_done");
        let states = client.data.iter().flat_map(|data| data["records"].as_array().unwrap());
        assert!(states.into_iter().all(|record| record["hd"]["rtype"] == 22), "{done}");
        let mut last = None;
        read_on(&mut client, 500, &mut last);
    }
}

#[test]
fn the_tape_serves_a_delay_that_the_ring_does_not_hold() {
    let tape = TempDir::new().unwrap();
    let folder = tape.path().join("tape");
    let world = metronome(&["--ring", "64KiB", "--record", folder.to_str().unwrap()]);
    let token = world.token("late", rights());
    let mut early = Client::connect(world.server(), Some(&token));
    early.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
    let mut last = None;
    read_on(&mut early, 2500, &mut last);
    wait(world.server(), &world);
    let mut late = Client::connect(world.server(), Some(&token));
    late.granted("subscribe", json!({"schema": "trades", "symbols": "*", "snapshot": false}));
    read_on(&mut late, 1500, &mut None);
    // A replay ends where records are not old enough yet, and goes on as they are.
    let mut replayed = Client::connect(world.server(), Some(&token));
    replayed.granted("replay", json!({"recording": "live", "speed": "max"}));
    read_on(&mut replayed, 4000, &mut None);
}

#[test]
fn a_delay_that_nothing_holds_is_refused() {
    let world = metronome(&["--ring", "64KiB"]);
    wait(world.server(), &world);
    let mut client = Client::connect(world.server(), Some(&world.token("late", rights())));
    let answer = client.ask("subscribe", json!({"schema": "trades", "symbols": "*"}));
    assert_eq!(answer["error"]["code"], 409, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("has to record"), "{answer}");
}

#[test]
fn a_delayed_connection_subscribes_and_unsubscribes_as_any_other() {
    let world = metronome(&[]);
    let token = world.token("late", rights());
    let mut client = Client::connect(world.server(), Some(&token));
    assert_eq!(page(world.server(), "/v1/last?symbols=SYM0", Some(&token)).0, 403);
    let paced = json!({"schema": "trades", "symbols": "*", "max_rate": 1});
    assert_eq!(client.refused("subscribe", paced).0, 409);
    let all = page(world.server(), "/v1/instruments", Some(&token)).1;
    let all: Value = serde_json::from_str(&all).unwrap();
    let symbol = |n: usize| all["instruments"][n]["symbol"].clone();
    let first = client.granted("subscribe", json!({"schema": "trades", "symbols": [symbol(0)]}));
    client.records();
    let second = client.granted("subscribe", json!({"schema": "trades", "symbols": [symbol(1)]}));
    let begins = ns(&second["seq"]);
    client.until(|message| {
        message["type"] == "data"
            && !is_snapshot(message)
            && ns(&message["seq"]) > begins
            && message["records"].as_array().unwrap().iter().any(|r| r["symbol"] == symbol(1))
    });
    client.granted("unsubscribe", json!({"subscription": first["subscription"]}));
    for _ in 0..5 {
        let records = client.records();
        assert!(records.iter().all(|record| record["symbol"] == symbol(1)), "{records:?}");
    }
    client.granted("unsubscribe", json!({"subscription": second["subscription"]}));
    client.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
    read_on(&mut client, 100, &mut None);
}
