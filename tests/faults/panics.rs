//! A panic ends the connections of one shard, or one feed, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use broadtape::clock::UnixNanos;
use broadtape::feed::{Batch, Feed, FeedError, Metronome, Next, Pace};
use broadtape::limits::SHARD_RESTARTS;
use broadtape::node::server::ServerError;
use broadtape::wire::instrument::Instrument;
use serde_json::{Value, json};

use crate::embedded::{Embedded, POISON};
use crate::raw::{Ending, Raw, frame};
use crate::witness::Witness;

/// What whoever is on a shard that panics is told.
const FAULT: Ending = Ending { closing: Some(1011), code: Some(1011), closed: true, reset: false };

/// Says what makes its shard panic.
fn poison(raw: &mut Raw) {
    let ping = json!({"id": 666, "method": "ping", "params": {"data": POISON}});
    raw.send(&frame(0x81, ping.to_string().as_bytes()));
}

fn subscribe(raw: &mut Raw, snapshot: bool) -> Value {
    raw.ask(1, "subscribe", json!({"schema": "trades", "symbols": "*", "snapshot": snapshot}))
}

/// Records of the snapshot that follows, mappings left out.
fn snapshot(raw: &mut Raw) -> usize {
    let mut records = 0;
    loop {
        let frame = raw.next().unwrap();
        if frame.opcode == 2 && frame.payload[1] & 1 != 0 {
            let mut rest = &frame.payload[24..];
            while let Some(words) = rest.first() {
                records += usize::from(rest[1] == 0);
                rest = &rest[usize::from(*words) * 4..];
            }
        }
        if frame.json()["type"] == "snapshot_done" {
            return records;
        }
    }
}

#[test]
fn of_a_shard_ends_its_connections_with_1011_and_no_others() {
    let embedded = Embedded::start(&[("shards", "2"), ("start", "on-subscribe")]);
    let server = &embedded.server;
    let witness = Witness::start(server);
    let spared = server.sessions()[0]["shard"].as_u64().unwrap();
    let (mut ill, mut others) = (None, Vec::new());
    while ill.is_none() || others.len() < 40 {
        let (mut raw, shard) = embedded.client();
        assert_eq!(subscribe(&mut raw, false)["success"], true);
        match shard == spared {
            false if ill.is_none() => ill = Some(raw),
            false => others.push(raw),
            // It would end with the test; here it only has the shards filled evenly.
            true => std::mem::forget(raw),
        }
    }
    let mut ill = ill.unwrap();
    poison(&mut ill);
    assert_eq!(ill.ending().closing, None, "what was being sent is cut off");
    for raw in &mut others {
        assert_eq!(raw.ending(), FAULT);
    }
    let internal = server.metric("broadtape_closes_total", "internal");
    assert_eq!(internal, others.len() as f64 + 1.0);
    assert_eq!(server.metric("broadtape_shard_restarts_total", ""), 1.0);
    server.wait_until("they are gone", |server| {
        server.sessions().iter().all(|session| session["shard"] == spared)
    });
    // The shard serves again, and knows what the ring has.
    let (mut back, shard) = embedded.client();
    assert_ne!(shard, spared, "it has the fewest");
    assert_eq!(subscribe(&mut back, true)["success"], true);
    assert_eq!(snapshot(&mut back), 20, "the last trade of each instrument");
    let trades = witness.lost_nothing();
    println!(
        "1 panic: {internal} connections ended, a witness of the other shard lost 0 of {trades}"
    );
}

#[test]
fn in_a_shard_happens_so_often_and_then_the_server_ends() {
    let embedded = Embedded::start(&[("shards", "2")]);
    let (mut bystander, spared) = embedded.client();
    for n in 0..=SHARD_RESTARTS {
        let mut raw = loop {
            let (raw, shard) = embedded.client();
            if shard != spared {
                break raw;
            }
            std::mem::forget(raw);
        };
        poison(&mut raw);
        assert_eq!(raw.ending().closing, None);
        if n < SHARD_RESTARTS {
            let restarts = (n + 1) as f64;
            embedded.server.wait_until("it begins anew", |server| {
                server.metric("broadtape_shard_restarts_total", "") == restarts
            });
        }
    }
    assert_eq!(bystander.ending().code, Some(1012), "others are told to come again");
    let ended = embedded.ended();
    assert!(matches!(ended, Err(ServerError::Shard(_))), "{ended:?}");
    println!("{} panics in a row end the server: {}", SHARD_RESTARTS + 1, ended.unwrap_err());
}

/// A metronome that panics when it is told to; or has the publisher panic, by asking for the
/// impossible where nobody expects it to fail.
struct Nervous(Metronome, Arc<AtomicBool>, Arc<AtomicBool>);

impl Feed for Nervous {
    fn name(&self) -> String {
        "nervous".to_owned()
    }

    fn pace(&self) -> Pace {
        assert!(!self.2.load(SeqCst), "it was told to");
        self.0.pace()
    }

    fn instruments(&mut self) -> Vec<Instrument> {
        self.0.instruments()
    }

    fn poll(&mut self, now: UnixNanos, out: &mut Batch) -> Result<Next, FeedError> {
        let next = self.0.poll(now, out);
        assert!(!self.1.load(SeqCst), "it was told to");
        next
    }
}

#[test]
fn of_a_feed_is_its_failure_and_clients_stay() {
    let panics = Arc::new(AtomicBool::new(false));
    let feed = Nervous(Metronome::new(1_000, 20), panics.clone(), Arc::default());
    let embedded = Embedded::with(vec![Box::new(feed)], &[]);
    let mut raw = Raw::open(&embedded.server, "json");
    assert_eq!(subscribe(&mut raw, false)["success"], true);
    panics.store(true, SeqCst);
    let status = raw.until(|message| message["type"] == "status");
    assert_eq!((&status["source"], &status["state"]), (&json!("nervous"), &json!("failed")));
    assert_eq!(status["message"], "nervous: it panicked: it was told to");
    assert_eq!(raw.ask(2, "ping", json!({}))["success"], true);
    embedded.server.wait_until("it is not ready", |server| {
        server
            .answer(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .contains("503")
    });
    let state =
        &serde_json::from_str::<Value>(&embedded.server.page("/v1/status")).unwrap()["feed"];
    assert_eq!(state["state"], "failed: nervous: it panicked: it was told to");
}

#[test]
fn of_the_publisher_is_told_and_nothing_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (tape, panics) = (folder.path().join("tape"), Arc::new(AtomicBool::new(false)));
    let feed = Nervous(Metronome::new(1_000, 20), Arc::default(), panics.clone());
    let embedded = Embedded::with(vec![Box::new(feed)], &[("record", tape.to_str().unwrap())]);
    let mut raw = Raw::open(&embedded.server, "json");
    assert_eq!(subscribe(&mut raw, false)["success"], true);
    raw.until(|message| message["type"] == "data" && message["flags"] == json!([]));
    panics.store(true, SeqCst);
    let status = raw.until(|message| message["type"] == "status");
    assert_eq!((&status["source"], &status["state"]), (&json!("publisher"), &json!("failed")));
    assert_eq!(raw.ask(2, "ping", json!({}))["success"], true);
    let page: Value = serde_json::from_str(&embedded.server.page("/v1/status")).unwrap();
    assert_eq!(page["feed"]["state"], "failed: it does not answer");
    embedded.stop();
    assert_eq!(raw.ending().code, Some(1012), "it drains as ever");
    assert!(embedded.ended().is_ok());
    let report = broadtape::tape::verify(&tape, |_, _| {}).unwrap();
    assert!(report.damage.is_empty() && report.records > 0, "not on the tape: {report:?}");
}
