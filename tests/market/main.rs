//! The simulated market, measured on its records under a virtual clock: the laws that make it a
//! market, the stories that scenarios tell, and the bytes it brings.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytes;
mod laws;
mod story;

use broadtape::feed::{Batch, Feed, Next, Scenario, Sim, SimOptions};
use broadtape::wire::record::{instrument_id, rtype, rtype_of, ts_event, u32_at, u64_at};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
/// A Monday, half past nine in New York.
const START: u64 = 1_700_490_600 * SECOND;
const TICK: i64 = 10_000_000;
const LOT: u32 = 100;
const SCENARIOS: [&str; 5] = ["calm", "open", "halt", "crash", "burst"];

fn market(scenario: &str, symbols: u32, rate: u64, seed: u64) -> Sim {
    let scenario = Scenario::named(scenario).unwrap();
    Sim::new(SimOptions { symbols, rate, seed, scenario }).unwrap()
}

/// Polls every `step` ns of `span`, into batches of `bytes`, and shows every record.
fn play(sim: &mut Sim, span: u64, step: u64, bytes: usize, mut see: impl FnMut(&[u8])) {
    let mut batch = Batch::new(bytes);
    for now in (START..=START + span).step_by(step as usize) {
        loop {
            let next = sim.poll(now, &mut batch).unwrap();
            batch.iter().for_each(&mut see);
            batch.reset(bytes);
            match next {
                Next::Ready => {}
                Next::At(at) if at > now => break,
                next => panic!("{next:?} at {now}"),
            }
        }
    }
}

/// The usual way to look at a market: 200 instruments, a thousand polls a second.
fn watch(scenario: &str, rate: u64, seconds: u64, see: impl FnMut(&[u8])) {
    play(&mut market(scenario, 200, rate, 1), seconds * SECOND, MILLI, 1 << 18, see);
}

/// When a record happened, ns since the market's start.
fn at(record: &[u8]) -> u64 {
    ts_event(record) - START
}

fn is(record: &[u8], wanted: u8) -> bool {
    rtype_of(record) == wanted
}

fn is_primary(record: &[u8]) -> bool {
    !is(record, rtype::INSTRUMENT_DEF)
}

struct Quote {
    action: u8,
    side: u8,
    price: i64,
    size: u32,
    last: bool,
    bid: i64,
    ask: i64,
    sizes: [u32; 2],
}

fn quote(record: &[u8]) -> Option<Quote> {
    is(record, rtype::MBP_1).then(|| Quote {
        price: u64_at(record, 16) as i64,
        size: u32_at(record, 24),
        action: record[28],
        side: record[29],
        last: record[30] & 128 != 0,
        bid: u64_at(record, 48) as i64,
        ask: u64_at(record, 56) as i64,
        sizes: [u32_at(record, 64), u32_at(record, 68)],
    })
}

fn mean(of: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = of.len() as f64;
    of.sum::<f64>() / n
}

/// Of the busiest instrument, in windows of a second: the mean spread and the root mean square
/// move of the middle, both in basis points.
fn weather(scenario: &str, from: u64, to: u64) -> Vec<(f64, f64)> {
    let mut windows = vec![(0.0, 0.0, 0.0); (to - from) as usize];
    let mut last = None;
    watch(scenario, 10_000, to, |record| {
        let Some(q) = quote(record).filter(|_| instrument_id(record) == 1) else { return };
        let middle = (q.bid + q.ask) as f64 / 2.0;
        let moved = middle - last.replace(middle).unwrap_or(middle);
        let second = at(record) / SECOND;
        if (from..to).contains(&second) {
            let window = &mut windows[(second - from) as usize];
            window.0 += 1.0;
            window.1 += (q.ask - q.bid) as f64 / middle * 1e4;
            window.2 += (moved / middle * 1e4).powi(2);
        }
    });
    windows.retain(|(count, ..)| *count > 0.0);
    windows.iter().map(|(count, spread, moves)| (spread / count, (moves / count).sqrt())).collect()
}
