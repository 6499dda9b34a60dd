//! A process that has no descriptors left.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::Program;
use crate::raw::{Raw, handshake};
use crate::server::Server;
use crate::witness::Witness;

/// Descriptors that it is given.
const LIMIT: usize = 128;

#[test]
fn without_descriptors_the_old_are_served_and_the_new_wait() {
    let limit = format!("--nofile={LIMIT}:{LIMIT}");
    let serve = ["serve", "--scenario", "metronome", "--rate", "1000", "--log", "error"];
    // Else it leaves some to itself, and says so to those that are too many.
    let all = ["--max-connections", "100000", "--hosts", "test", "--message-rate", "1000000"];
    let server =
        Server::of(Program::start_under(&["prlimit", &limit], &[&serve[..], &all].concat()));
    let witness = Witness::start(&server);
    let mut old = vec![Raw::open(&server, "json")];
    while server.descriptors() < LIMIT - 1 {
        old.push(Raw::open(&server, "json"));
    }
    // These wait in the kernel's queue, and the server can't take them.
    let begun = Instant::now();
    let mut waiting: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        use std::io::Write;
        stream.write_all(handshake("/v1/stream").as_bytes()).unwrap();
    }
    while begun.elapsed() < Duration::from_secs(3) {
        for raw in &mut old {
            assert_eq!(raw.ask(1, "ping", json!({}))["success"], true);
        }
    }
    assert!(server.descriptors() >= LIMIT - 1, "it is full still");
    let exhausted = begun.elapsed();
    let freed = Instant::now();
    let served = old.len();
    old.drain(..served / 2).for_each(Raw::reset);
    for raw in &mut old {
        assert_eq!(raw.ask(2, "ping", json!({}))["success"], true);
    }
    let mut first = waiting.remove(0);
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut first, &mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    let again = freed.elapsed();
    drop((first, waiting, old));
    server.wait_until("its pages are served", |server| server.sessions().len() == 1);
    let errors = server.metric("broadtape_gate_refused_total", "accept_failed");
    let rate = errors / (exhausted + again).as_secs_f64();
    assert!(errors > 0.0 && rate <= 100.0, "{errors} errors, {rate:.0} a second");
    let trades = witness.lost_nothing();
    println!(
        "{LIMIT} descriptors, {served} clients, 100 more: {errors} accept errors in \
         {exhausted:.1?} ({rate:.1} a second), the first was let in {again:.2?} after some were \
         free, a witness lost 0 of {trades}"
    );
}
