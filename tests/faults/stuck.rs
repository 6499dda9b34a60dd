//! A shard that hangs: the watchdog says so, the others serve, and it goes on where it stood.

use serde_json::json;

use crate::embedded::{Embedded, GLUE, Log};
use crate::raw::{Raw, frame};
use crate::witness::Witness;

/// Says what makes its shard hang.
fn stick(raw: &mut Raw) {
    let ping = json!({"id": 666, "method": "ping", "params": {"data": GLUE}});
    raw.send(&frame(0x81, ping.to_string().as_bytes()));
}

#[test]
fn a_stuck_shard_is_told_and_avoided_until_it_goes_on() {
    let embedded = Embedded::start(&[("shards", "2")]);
    let server = &embedded.server;
    let witness = Witness::start(server);
    let spared = server.sessions()[0]["shard"].as_u64().unwrap();
    let (mut raw, shard) = embedded.client();
    assert_ne!(shard, spared, "it has the fewest");
    stick(&mut raw);
    let stuck = |server: &crate::server::Server| server.metric("broadtape_shard_stuck", "");
    server.wait_until("the watchdog sees it", |server| stuck(server) == 1.0);
    assert_eq!(server.page("/readyz"), format!("ready; shard {shard} is stuck\n"));
    assert_eq!(server.metric("broadtape_shard_stalls_total", ""), 1.0);
    // The stuck one has fewer, and gets none all the same.
    let mut others: Vec<Raw> = (0..20).map(|_| Raw::open(server, "json")).collect();
    for other in &mut others {
        assert_eq!(other.ask(1, "ping", json!({}))["success"], true);
    }
    embedded.glue.dissolve();
    server.wait_until("it goes on", |server| stuck(server) == 0.0);
    assert_eq!(server.page("/readyz"), "ready\n");
    assert_eq!(raw.answer_to(666)["success"], true, "nobody was sent away");
    assert_eq!(embedded.client().1, shard, "it gets new ones again");
    let trades = witness.lost_nothing();
    println!("1 of 2 shards stuck: 20 of 20 new clients served, a witness lost 0 of {trades}");
}

#[test]
fn at_the_end_it_is_said_how_many_a_stuck_shard_had() {
    let log = Log::default();
    let embedded = Embedded::logging(&log, &[("shards", "2"), ("drain", "60s")]);
    let clients: Vec<(Raw, u64)> = (0..6).map(|_| embedded.client()).collect();
    let (_, shard) = clients[0];
    let (mut stuck, spared): (Vec<_>, Vec<_>) =
        clients.into_iter().partition(|(_, of)| *of == shard);
    stick(&mut stuck[0].0);
    embedded.server.wait_until("the watchdog sees it", |_| log.has("a shard is stuck"));
    embedded.stop();
    embedded.server.wait_until("it drains", |_| log.has("\"draining\""));
    embedded.stop();
    // The shard hangs until this has returned.
    embedded.ended().unwrap();
    let lines = log.lines("access");
    let of = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!((of("opened"), of("closed")), (6, spared.len()), "{lines:?}");
    let last = lines.last().unwrap();
    assert_eq!(last["unsaid"], stuck.len(), "{last}");
}

#[test]
fn where_all_are_stuck_new_clients_are_refused() {
    let embedded = Embedded::start(&[("shards", "1")]);
    let server = &embedded.server;
    let (mut raw, _) = embedded.client();
    stick(&mut raw);
    server.wait_until("it is said", |server| server.page("/readyz").contains("every shard"));
    let answer = server.answer(crate::raw::handshake("/v1/stream").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("overload"), "{answer}");
    assert_eq!(server.metric("broadtape_gate_refused_total", "overload"), 1.0);
}
