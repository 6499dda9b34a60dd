//! A warm turn allocates nothing: commit, match, frame, send, for subscribers of all kinds.

mod loopback;

use std::net::TcpStream;
use std::time::Duration;

use allocation_counter::measure;
use broadtape::feed::{Batch, Feed, Metronome, Scenario, Sim, SimOptions};
use broadtape::limits::BATCH_BYTES;
use broadtape::socket::write::Readiness;
use broadtape::wire::encoding::Encoding;

use loopback::{Loopback, drain};

const TURNS: u64 = 1_000;
const MILLI: u64 = 1_000_000;

/// Subscriptions of many kinds: everything, a few symbols, several at once, states at a rate.
const PARAMS: [&str; 5] = [
    r#"{"schema":["trades","mbp-1"],"symbols":"*"}"#,
    r#"{"schema":["trades","mbp-1"],"symbols":"*"}"#,
    r#"{"schema":["trades","mbp-1","tbbo"],"symbols":["A*","B*"]}"#,
    r#"[{"schema":"trades","symbols":["A*"]},{"schema":"trades","symbols":"*"}]"#,
    r#"{"schema":"mbp-1","symbols":"*","max_rate":100}"#,
];

/// Runs turns of a millisecond after as many of three, in which buffers grow; the allocations in
/// them, and the bytes that they brought.
fn warm_turns(feed: &mut impl Feed, params: &[&str], encoding: Encoding) -> (u64, usize) {
    let mut shard = Loopback::new(Readiness, 200);
    let clients: Vec<TcpStream> = params.iter().map(|p| shard.subscribe(encoding, p)).collect();
    let (mut batch, mut buffer) = (Batch::new(BATCH_BYTES), vec![0; 1 << 16]);
    let (mut time, mut allocations, mut bytes) = (1_700_490_600_000 * MILLI, 0, 0);
    for turn in 0..2 * TURNS {
        let millis = if turn < TURNS { 3 } else { 1 };
        time += millis * MILLI;
        shard.pass(Duration::from_millis(millis));
        batch.reset(BATCH_BYTES);
        assert!(feed.poll(time, &mut batch).is_ok());
        let measured = measure(|| {
            shard.commit(&batch);
            shard.turn();
        });
        let read: usize = clients.iter().map(|client| drain(client, &mut buffer)).sum();
        if turn >= TURNS {
            allocations += measured.count_total;
            bytes += read;
        }
    }
    (allocations, bytes)
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1);
}

#[test]
fn a_warm_turn_allocates_nothing() {
    for encoding in [Encoding::Dbn, Encoding::Json] {
        // Nothing but trades: who asks for none is told so once a second.
        let mut feed = Metronome::new(50_000, 200);
        let (allocations, bytes) = warm_turns(&mut feed, &PARAMS[..4], encoding);
        assert!(bytes > 50_000 * 48, "{bytes} bytes: the clients were served");
        assert_eq!(allocations, 0, "{encoding:?}");
    }
}

#[test]
fn a_warm_turn_of_a_market_allocates_nothing() {
    let scenario = Scenario::named("calm").unwrap();
    let options = SimOptions { symbols: 200, rate: 50_000, seed: 1, scenario };
    let mut feed = Sim::new(options).unwrap();
    let (allocations, bytes) = warm_turns(&mut feed, &PARAMS, Encoding::Dbn);
    assert!(bytes > 50_000 * 48, "{bytes} bytes: the clients were served");
    assert_eq!(allocations, 0);
}
