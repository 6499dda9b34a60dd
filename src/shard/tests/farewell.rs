//! What stands before what: statuses, answers and farewells among the records.

use std::time::Duration;

use serde_json::Value;

use super::received::{Item, items, long};
use super::world::{Peer, World};
use crate::shard::command::Command;
use crate::wire::close::CloseReason;
use crate::wire::encoding::Encoding;
use crate::wire::record::Schema;

const ENDED: &str = r#"{"type":"status","state":"ended"}"#;

fn ask(world: &mut World, peer: &Peer, method: &str, params: &str) {
    let text = format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#);
    assert!(world.request(peer, &text));
}

/// What a client was sent since it was welcomed, in a word each: records by their positions.
fn story(peer: &Peer) -> Vec<String> {
    let all = items(&peer.outbox.borrow().taken, true);
    let told = all.iter().flat_map(|item| match item {
        Item::Data { records, .. } => records.iter().map(|(.., seq)| seq.to_string()).collect(),
        Item::Text(text) => vec![kind(text)],
        Item::Close(code) => vec![code.to_string()],
    });
    told.filter(|word| word != "welcome").collect()
}

fn kind(text: &Value) -> String {
    let kind = text["type"].as_str().or(text["method"].as_str());
    kind.unwrap().to_owned()
}

fn drain(world: &World) -> Command {
    let now = world.now.mono;
    Command::Drain { reason: CloseReason::Drain, until: now, cutoff: now + Duration::from_secs(9) }
}

#[test]
fn a_drain_in_the_same_turn_loses_no_status() {
    let mut world = World::new();
    let peer = world.attach(Encoding::Dbn);
    world.tell(Command::Announce { after: 0, text: ENDED.into() });
    world.tell(drain(&world));
    world.turn();
    assert_eq!(story(&peer), ["status", "closing", "1012"]);
}

#[test]
fn a_farewell_in_the_same_turn_loses_no_answer() {
    let mut world = World::new();
    let peer = world.attach(Encoding::Dbn);
    (0..30).for_each(|_| ask(&mut world, &peer, "subscriptions", "{}"));
    let (token, now) = (world.token(&peer).unwrap(), world.now);
    world.shard.client_closes(token, Some(1000), now);
    world.turn();
    let mut told = vec!["subscriptions"; 30];
    told.push("1000");
    assert_eq!(story(&peer), told);
}

#[test]
fn a_farewell_names_the_last_position_that_was_written() {
    let mut world = World::new();
    let peer = world.attach(Encoding::Dbn);
    ask(&mut world, &peer, "subscribe", r#"{"schema":"trades","symbols":"*"}"#);
    world.turn();
    let trade = (Schema::Trades, 0);
    world.commit(&[trade; 3]);
    world.turn();
    peer.outbox.borrow_mut().open = false;
    for _ in 0..2 {
        world.commit(&[trade; 2]);
        world.turn();
    }
    world.tell(drain(&world));
    world.turn();
    peer.outbox.borrow_mut().open = true;
    world.writable(&peer);
    world.turn();
    let taken = items(&peer.outbox.borrow().taken, true);
    let closing = taken.iter().find_map(|item| match item {
        Item::Text(text) if text["type"] == "closing" => Some(long(&text["seq"])),
        _ => None,
    });
    assert_eq!(closing, Some(3));
}

#[test]
fn a_status_waits_for_those_who_catch_up() {
    const RECORDS: usize = 5_000;
    let mut world = World::new();
    for _ in 0..RECORDS / 50 {
        world.commit(&[(Schema::Trades, 1); 50]);
        world.turn();
    }
    let peer = world.attach(Encoding::Dbn);
    let params = r#"{"schema":"trades","symbols":"*","from":{"epoch":"7","seq":"0"}}"#;
    ask(&mut world, &peer, "subscribe", params);
    world.tell(Command::Announce { after: RECORDS as u64, text: ENDED.into() });
    for _ in 0..20 {
        world.turn();
    }
    let story = story(&peer);
    assert_eq!((story[0].as_str(), story.len()), ("subscribe", RECORDS + 3));
    assert_eq!(story[RECORDS + 1..], ["status", "live"]);
}

#[test]
fn a_trade_counts_once_after_a_part_of_its_schemas_was_taken_out() {
    let mut world = World::new();
    let peer = world.attach(Encoding::Dbn);
    let both = r#"{"schema":["mbp-1","tbbo"],"symbols":["AA","AB"],"snapshot":false}"#;
    ask(&mut world, &peer, "subscribe", both);
    ask(&mut world, &peer, "unsubscribe", r#"{"schema":"mbp-1","symbols":["AA"]}"#);
    world.turn();
    // Of AA only the trade, of AB both records.
    let (trade, quote) = (Schema::Tbbo, Schema::Mbp1);
    world.commit(&[(trade, 0), (quote, 0), (trade, 1), (quote, 1)]);
    world.turn();
    ask(&mut world, &peer, "subscriptions", "{}");
    world.turn();
    let taken = items(&peer.outbox.borrow().taken, true);
    let Some(Item::Text(answer)) = taken.last() else { panic!("no answer") };
    assert_eq!(story(&peer)[2..], ["1", "3", "4", "subscriptions"]);
    let subscription = &answer["result"]["subscriptions"][0];
    assert_eq!(long(&subscription["records"]), 3, "{answer}");
    assert_eq!(subscription["count"], 2);
}

#[test]
fn after_a_panic_a_frame_begun_is_finished_and_nothing_is_claimed_that_was_not_sent() {
    let mut world = World::new();
    let peer = world.attach(Encoding::Dbn);
    ask(&mut world, &peer, "subscribe", r#"{"schema":"trades","symbols":"*"}"#);
    world.turn();
    for _ in 0..2 {
        world.commit(&[(Schema::Trades, 0)]);
        world.turn();
    }
    let whole = peer.outbox.borrow().taken.len();
    for (open, gulp) in [(false, Some(10)), (false, None)] {
        peer.outbox.borrow_mut().open = open;
        peer.outbox.borrow_mut().gulps.extend(gulp);
        world.commit(&[(Schema::Trades, 0)]);
        world.turn();
    }
    assert_eq!(peer.outbox.borrow().taken.len(), whole + 10, "it is in the midst of the third");
    let mut world = world.restart();
    assert_eq!(
        world.shard.report().closes.iter().find(|c| c.0 == "internal"),
        Some(&("internal", 1))
    );
    peer.outbox.borrow_mut().open = true;
    world.writable(&peer);
    world.turn();
    assert_eq!(story(&peer)[2..], ["1", "2", "3", "closing", "1011"]);
    let taken = items(&peer.outbox.borrow().taken, true);
    let closing = taken.iter().find_map(|item| match item {
        Item::Text(text) if text["type"] == "closing" => Some(long(&text["seq"])),
        _ => None,
    });
    assert_eq!(closing, Some(3));
    world.pass(Duration::from_secs(2));
    assert!(world.token(&peer).is_none(), "it is let go");
    // The shard knows what the ring has.
    let next = world.attach(Encoding::Dbn);
    ask(&mut world, &next, "subscribe", r#"{"schema":"trades","symbols":["AA"]}"#);
    world.turn();
    world.turn();
    let told = story(&next);
    assert!(told.contains(&"4".to_owned()) && told.last().unwrap() == "snapshot_done", "{told:?}");
}
