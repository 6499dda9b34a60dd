//! What became of slow clients where the properties failed, each in the few steps that show it.

use serde_json::Value;

use super::received::{Item, Seen, items, long};
use super::world::{Peer, World};
use crate::limits::QUEUE_MIN;
use crate::shard::command::Command;
use crate::wire::encoding::Encoding;
use crate::wire::record::Schema;

const MBP: Schema = Schema::Mbp1;
const BBO: Schema = Schema::Bbo1S;

/// A client with these params of its subscribe request.
fn subscribed(world: &mut World, params: &str) -> Peer {
    let peer = world.attach(Encoding::Dbn);
    ask(world, &peer, "subscribe", params);
    world.turn();
    peer
}

fn ask(world: &mut World, peer: &Peer, method: &str, params: &str) {
    let text = format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#);
    assert!(world.request(peer, &text));
}

fn block(peer: &Peer) {
    peer.outbox.borrow_mut().open = false;
}

/// Lets everything out and time pass for a heartbeat.
fn open(world: &mut World, peer: &Peer) {
    peer.outbox.borrow_mut().open = true;
    for _ in 0..100 {
        world.writable(peer);
        world.turn();
    }
    world.pass(std::time::Duration::from_secs(2));
}

/// Fills a blocked queue with states of instrument 0 until it is `share` of the limit.
fn fill(world: &mut World, share: f64) -> u64 {
    let records = (QUEUE_MIN as f64 * share / 88.0) as usize;
    for _ in 0..records / 50 {
        world.commit(&[(MBP, 0); 50]);
        world.turn();
    }
    records as u64 / 50 * 50
}

/// The records that were sent, and the last heartbeat.
fn received(peer: &Peer) -> (Vec<Seen>, Value) {
    let (mut seen, mut beat) = (Vec::new(), Value::Null);
    for item in items(&peer.outbox.borrow().taken, true) {
        match item {
            Item::Data { records, .. } => seen.extend(records),
            Item::Text(text) if text["type"] == "heartbeat" => beat = text,
            Item::Text(_) => {}
            Item::Close(code) => panic!("closed: {code}"),
        }
    }
    (seen, beat)
}

fn counts(beat: &Value, subscription: usize) -> (u64, u64) {
    let counts = &beat["subscriptions"][subscription];
    (long(&counts["records"]), long(&counts["conflated"]))
}

#[test]
fn two_frames_of_one_turn_stay_in_order_where_the_first_is_cut() {
    let mut world = World::new();
    let paced = r#"[{"schema":"mbp-1","symbols":["AA"],"snapshot":false,"max_rate":5},
        {"schema":"bbo-1s","symbols":["AA"],"snapshot":false,"max_rate":5}]"#;
    let peer = subscribed(&mut world, paced);
    world.commit(&[(MBP, 0), (BBO, 0)]);
    world.turn();
    peer.outbox.borrow_mut().gulps.push_back(30);
    world.pass(std::time::Duration::from_millis(300));
    open(&mut world, &peer);
    let (mut seen, _) = received(&peer);
    seen.sort_by_key(|(.., seq)| *seq);
    assert_eq!(seen, [(MBP, 0, 1), (BBO, 0, 2)]);
}

#[test]
fn a_young_subscription_takes_nothing_back_that_was_not_for_it() {
    let mut world = World::new();
    let states = r#"{"schema":"mbp-1","symbols":["AA"],"snapshot":false}"#;
    let peer = subscribed(&mut world, states);
    block(&peer);
    fill(&mut world, 0.2);
    ask(&mut world, &peer, "subscribe", states);
    world.turn();
    fill(&mut world, 0.9);
    open(&mut world, &peer);
    let (seen, beat) = received(&peer);
    let (newest, (old, young)) = (seen.last().unwrap().2, (counts(&beat, 0), counts(&beat, 1)));
    assert_eq!((long(&beat["records"]), old.0), (1, 1));
    assert_eq!(old.0 + old.1, newest);
    assert_eq!(young.0, 1);
    assert!(young.1 < old.1, "{young:?} {old:?}");
}

#[test]
fn records_that_are_dropped_twice_are_taken_back_twice() {
    let mut world = World::new();
    let states = r#"{"schema":"mbp-1","symbols":["AA"],"snapshot":false}"#;
    let peer = subscribed(&mut world, states);
    block(&peer);
    fill(&mut world, 0.2);
    ask(&mut world, &peer, "subscribe", states);
    world.turn();
    for _ in 0..2 {
        block(&peer);
        fill(&mut world, 1.1);
        open(&mut world, &peer);
    }
    let (seen, beat) = received(&peer);
    assert_eq!(seen.len(), 2);
    assert_eq!((counts(&beat, 0).0, counts(&beat, 1).0), (2, 2));
}

#[test]
fn what_waits_of_a_subscription_outlives_the_end_of_its_other_part() {
    let mut world = World::new();
    let peer = subscribed(&mut world, r#"{"schema":["mbp-1","bbo-1s"],"symbols":["AA","AB"]}"#);
    block(&peer);
    fill(&mut world, 1.1);
    world.commit(&[(MBP, 1), (BBO, 0), (BBO, 1)]);
    world.turn();
    ask(&mut world, &peer, "unsubscribe", r#"{"schema":"mbp-1","symbols":["AB"]}"#);
    world.turn();
    open(&mut world, &peer);
    let (seen, beat) = received(&peer);
    let mut newest: Vec<_> = seen.iter().map(|(schema, n, _)| (*schema, *n)).collect();
    newest.sort_unstable();
    assert_eq!(newest, [(MBP, 0), (BBO, 0), (BBO, 1)]);
    assert_eq!(long(&beat["records"]), 3);
}

#[test]
fn a_full_queue_that_asks_for_more_loses_nothing_on_its_way() {
    let mut world = World::new();
    let states = r#"{"schema":"mbp-1","symbols":["AA"]}"#;
    let peer = subscribed(&mut world, states);
    block(&peer);
    let sent = fill(&mut world, 0.97);
    // Answers fill what is left of the queue.
    for _ in 0..40 {
        ask(&mut world, &peer, "subscriptions", "{}");
    }
    ask(&mut world, &peer, "subscribe", r#"{"schema":"trades","symbols":"*"}"#);
    world.commit(&[(Schema::Trades, 2), (MBP, 0)]);
    world.turn();
    open(&mut world, &peer);
    let (seen, _) = received(&peer);
    assert_eq!(seen.len() as u64, sent + 2);
    assert_eq!(seen[sent as usize..], [(Schema::Trades, 2, sent + 1), (MBP, 0, sent + 2)]);
    assert_eq!(world.shard.cache.images(), 0);
}

#[test]
fn a_heartbeat_counts_no_records_that_were_dropped() {
    let mut world = World::new();
    let peer = subscribed(&mut world, r#"{"schema":"mbp-1","symbols":["AA"]}"#);
    block(&peer);
    fill(&mut world, 0.2);
    world.pass(std::time::Duration::from_secs(6));
    fill(&mut world, 1.0);
    open(&mut world, &peer);
    let mut got = 0;
    for item in items(&peer.outbox.borrow().taken, true) {
        match item {
            Item::Data { records, .. } => got += records.len() as u64,
            Item::Text(text) if text["type"] == "heartbeat" => {
                assert_eq!(long(&text["records"]), got);
            }
            _ => {}
        }
    }
    assert_eq!(got, 1);
}

#[test]
fn a_rate_holds_while_a_snapshot_is_on_its_way() {
    let mut world = World::new();
    let peer = subscribed(&mut world, r#"{"schema":"bbo-1s","symbols":["AA"],"max_rate":5}"#);
    world.commit(&[(BBO, 0)]);
    block(&peer);
    world.turn();
    world.pass(std::time::Duration::from_millis(300));
    // A queue that is not empty enough makes the next subscription join over many turns.
    for _ in 0..300 {
        ask(&mut world, &peer, "subscriptions", "{}");
    }
    ask(&mut world, &peer, "subscribe", r#"{"schema":"trades","symbols":["AA"]}"#);
    for _ in 0..10 {
        world.commit(&[(BBO, 0), (Schema::Trades, 0)]);
        world.turn();
    }
    open(&mut world, &peer);
    let (seen, beat) = received(&peer);
    let states = seen.iter().filter(|record| record.0 == BBO).map(|record| record.2);
    assert_eq!(states.collect::<Vec<_>>(), [1, 20]);
    assert_eq!((counts(&beat, 0), counts(&beat, 1)), ((2, 9), (10, 0)));
}

#[test]
fn a_part_that_was_taken_out_still_counts_what_was_queued_for_it() {
    let mut world = World::new();
    let peer = subscribed(&mut world, r#"{"schema":"mbp-1","symbols":["AA","AB"]}"#);
    block(&peer);
    let queued = fill(&mut world, 0.9);
    ask(&mut world, &peer, "unsubscribe", r#"{"schema":"mbp-1","symbols":["AA"]}"#);
    world.turn();
    for _ in 0..40 {
        world.commit(&[(MBP, 1); 50]);
        world.turn();
    }
    open(&mut world, &peer);
    let (seen, beat) = received(&peer);
    let (received, last) = (seen.len() as u64, seen.last().unwrap().2);
    assert_eq!((received, last), (queued + 1, queued + 2000));
    assert_eq!(counts(&beat, 0), (received, 1999));
}

#[test]
fn a_record_that_supersedes_a_state_while_a_client_joins_is_flagged() {
    let mut world = World::new();
    let peer = subscribed(&mut world, r#"{"schema":"mbp-1","symbols":["AA"]}"#);
    block(&peer);
    fill(&mut world, 1.1);
    // Many answers keep it from joining before the next record.
    (0..300).for_each(|_| ask(&mut world, &peer, "subscriptions", "{}"));
    ask(&mut world, &peer, "subscribe", r#"{"schema":"trades","symbols":["AB"]}"#);
    world.commit(&[(MBP, 0)]);
    world.turn();
    open(&mut world, &peer);
    let flagged =
        items(&peer.outbox.borrow().taken, true).into_iter().find_map(|item| match item {
            Item::Data { flags, records, .. } if !records.is_empty() => Some(flags),
            _ => None,
        });
    assert_eq!(flagged, Some(crate::wire::batch::CONFLATED));
}

#[test]
fn where_memory_is_short_the_longest_queue_goes_first_by_its_policy() {
    let mut world = World::new();
    let with = |policy: &str| {
        format!(r#"{{"schema":"mbp-1","symbols":["AA"],"snapshot":false,"policy":"{policy}"}}"#)
    };
    let conflates = subscribed(&mut world, &with("conflate"));
    block(&conflates);
    fill(&mut world, 0.3);
    let loses_nothing = subscribed(&mut world, &with("disconnect"));
    block(&loses_nothing);
    fill(&mut world, 0.3);
    let shed = |world: &mut World, bytes| {
        world.tell(Command::Shed(bytes));
        world.turn();
        world.shard.report()
    };
    let closed = |report: &crate::shard::report::ShardReport| {
        report.closes.iter().find(|(reason, _)| *reason == "overload").unwrap().1
    };
    let report = shed(&mut world, 1);
    assert_eq!((report.shed, closed(&report)), (1, 0), "the longest, which is conflated");
    let report = shed(&mut world, usize::MAX);
    assert_eq!((report.shed, closed(&report)), (2, 1), "then the other, which may lose nothing");
    assert!(report.queued_bytes < 1024, "{}", report.queued_bytes);
    open(&mut world, &conflates);
    let (seen, beat) = received(&conflates);
    let newest = seen.last().unwrap().2;
    assert_eq!(counts(&beat, 0).0 + counts(&beat, 0).1, newest, "each is counted");
    loses_nothing.outbox.borrow_mut().open = true;
    world.writable(&loses_nothing);
    world.turn();
    let taken = items(&loses_nothing.outbox.borrow().taken, true);
    assert!(matches!(taken.last(), Some(Item::Close(1013))));
}
