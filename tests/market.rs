//! What makes the simulated market a market, measured on its records under a virtual clock.

use std::collections::HashMap;

use broadtape::feed::{Batch, Feed, Next, Scenario, Sim, SimOptions};
use broadtape::wire::record::{index_ts, instrument_id, rtype, rtype_of, ts_event, u32_at, u64_at};
use dbn::decode::dbn::RecordDecoder;
use dbn::encode::{EncodeRecordRef, JsonEncoder};

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

/// Polls every `step` ns of `span`, into batches of `slots`, and shows every record.
fn play(sim: &mut Sim, span: u64, step: u64, slots: usize, mut see: impl FnMut(&[u8])) {
    let mut batch = Batch::new(slots);
    for now in (START..=START + span).step_by(step as usize) {
        loop {
            let next = sim.poll(now, &mut batch).unwrap();
            batch.iter().for_each(&mut see);
            batch.reset(slots);
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
    play(&mut market(scenario, 200, rate, 1), seconds * SECOND, MILLI, 4096, see);
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

#[test]
fn it_is_never_crossed_and_stays_on_ticks_and_lots() {
    for scenario in SCENARIOS {
        let mut seen = 0;
        watch(scenario, 2_000, 100, |record| {
            let Some(q) = quote(record) else { return };
            assert!(0 < q.bid && q.bid < q.ask, "{scenario}: {} {}", q.bid, q.ask);
            assert!([q.bid, q.ask, q.price].iter().all(|px| px % TICK == 0));
            assert!(q.sizes.iter().chain([&q.size]).all(|size| *size > 0 && size % LOT == 0));
            seen += 1;
        });
        assert!(seen > 100_000, "{scenario} brought {seen} quotes");
    }
}

#[test]
fn a_trade_is_at_the_book_it_met_and_then_changes_it() {
    let mut books: HashMap<u32, (i64, i64, [u32; 2])> = HashMap::new();
    let mut trade: Option<Vec<u8>> = None;
    let mut trades = 0;
    watch("calm", 5_000, 20, |record| {
        if is(record, rtype::MBP_0) {
            trade = Some(record.to_vec());
            return;
        }
        let Some(q) = quote(record) else { return };
        if let Some(trade) = trade.take() {
            assert_eq!(&trade[4..48], &record[4..48], "the twins tell the same");
            assert_eq!((q.action, q.last), (b'T', false));
            let hit = if q.side == b'B' { (q.ask, q.sizes[1]) } else { (q.bid, q.sizes[0]) };
            assert!(q.price == hit.0 && q.size <= hit.1);
            let before = books.get(&instrument_id(record));
            assert!(before.is_none_or(|known| *known == (q.bid, q.ask, q.sizes)));
            trades += 1;
        } else {
            assert!(q.action != b'T' && q.last);
        }
        books.insert(instrument_id(record), (q.bid, q.ask, q.sizes));
    });
    assert!(trades > 8_000, "{trades} trades");
}

#[test]
fn activity_follows_zipf() {
    let mut counts = vec![0.0; 201];
    watch("calm", 10_000, 60, |r| counts[instrument_id(r) as usize] += f64::from(is_primary(r)));
    let harmonic: f64 = (1..=200).map(|k| 1.0 / f64::from(k)).sum();
    let total: f64 = counts.iter().sum();
    for rank in [1, 2, 5, 10, 50, 200] {
        let expected = total / harmonic / rank as f64;
        let ratio = counts[rank] / expected;
        assert!((0.85..1.15).contains(&ratio), "rank {rank}: {ratio} of what Zipf says");
    }
}

#[test]
fn arrivals_cluster_far_beyond_poisson() {
    let mut counts = vec![0.0; 600];
    watch("calm", 5_000, 60, |record| {
        if quote(record).is_some_and(|q| q.last) && at(record) < 60 * SECOND {
            counts[(at(record) / (100 * MILLI)) as usize] += 1.0;
        }
    });
    let average = mean(counts.iter().copied());
    let variance = mean(counts.iter().map(|c| (c - average).powi(2)));
    assert!(variance / average > 4.0, "variance over mean is {}", variance / average);
}

#[test]
fn the_long_run_rate_is_the_asked_one() {
    // Where the rush of an opening is over, and without the silence of a circuit breaker, which
    // takes 15 of 180 seconds at 0.68 of the mean.
    let trading = 1.0 - 15.0 / 180.0 * 180.0 / 255.0;
    for (scenario, from, to, share) in
        [("calm", 0, 300, 1.0), ("open", 200, 400, 1.0), ("crash", 0, 180, trading)]
    {
        let mut primary = 0.0;
        watch(scenario, 2_000, to, |record| {
            primary += f64::from(is_primary(record) && at(record) >= from * SECOND);
        });
        let ratio = primary / (2_000.0 * (to - from) as f64 * share);
        assert!((0.96..1.04).contains(&ratio), "{scenario}: {ratio} of the rate");
    }
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

#[test]
fn spreads_widen_with_volatility() {
    let spreads = |of: &[(f64, f64)]| mean(of.iter().map(|w| w.0));
    let moves = |of: &[(f64, f64)]| mean(of.iter().map(|w| w.1));
    let calm = weather("calm", 0, 120);
    let (spread, moved) = (spreads(&calm), moves(&calm));
    let covariance = mean(calm.iter().map(|w| (w.0 - spread) * (w.1 - moved)));
    let variances = mean(calm.iter().map(|w| (w.0 - spread).powi(2)))
        * mean(calm.iter().map(|w| (w.1 - moved).powi(2)));
    let correlation = covariance / variances.sqrt();
    assert!(correlation > 0.5, "correlation {correlation}");

    let panic = weather("crash", 30, 60);
    assert!(spreads(&panic) > 1.5 * spread && moves(&panic) > 1.5 * moved);
}

#[test]
fn the_opening_is_a_burst_that_fades() {
    let mut seconds = vec![0.0; 121];
    watch("open", 2_000, 120, |r| seconds[(at(r) / SECOND) as usize] += f64::from(is_primary(r)));
    let rate = |range: std::ops::Range<usize>| mean(seconds[range].iter().copied()) / 2_000.0;
    let (first, then, late) = (rate(0..2), rate(10..14), rate(100..120));
    assert!((5.5..8.5).contains(&first), "opens at {first} times the rate");
    assert!((1.7..3.5).contains(&then), "stands at {then} after one fade");
    assert!((0.8..1.3).contains(&late), "ends at {late}");
    let spreads: Vec<_> = weather("open", 0, 100).iter().map(|w| w.0).collect();
    let (wide, narrow) = (mean(spreads[..5].iter().copied()), mean(spreads[80..].iter().copied()));
    assert!(wide > 1.3 * narrow, "opens {wide} wide, ends {narrow}");
}

#[test]
fn nothing_trades_or_quotes_during_a_halt() {
    let mut halted: HashMap<u32, bool> = HashMap::new();
    let (mut halts, mut resumptions, mut meanwhile) = (0, 0, 0);
    watch("halt", 5_000, 60, |record| {
        let id = instrument_id(record);
        if is(record, rtype::STATUS) {
            let trading = record[30] == b'Y';
            assert_eq!(record[31] == b'Y', trading, "quoting goes with trading");
            let before = halted.insert(id, !trading);
            halts += u32::from(!trading);
            resumptions += u32::from(trading && before == Some(true));
        } else if is_primary(record) {
            assert_eq!(halted.get(&id), Some(&false), "instrument {id} at {}", at(record));
            meanwhile += u32::from(halted.values().any(|halted| *halted));
        }
    });
    // Two by name, the five busiest, everybody.
    assert_eq!((halts, resumptions), (2 + 5 + 200, 2 + 5 + 200));
    assert!(meanwhile > 10_000, "the others go on: {meanwhile}");
}

#[test]
fn a_crash_falls_and_recovers() {
    let mut first: HashMap<u32, i64> = HashMap::new();
    let mut worst: HashMap<u32, f64> = HashMap::new();
    let mut end: HashMap<u32, f64> = HashMap::new();
    watch("crash", 5_000, 180, |record| {
        let Some(q) = quote(record) else { return };
        let id = instrument_id(record);
        let share = q.bid as f64 / *first.entry(id).or_insert(q.bid) as f64;
        let least = worst.entry(id).or_insert(1.0);
        *least = least.min(share);
        end.insert(id, share);
    });
    for id in 1..=20 {
        assert!((0.80..0.96).contains(&worst[&id]), "{id} fell to {}", worst[&id]);
        assert!((0.92..1.08).contains(&end[&id]), "{id} ended at {}", end[&id]);
    }
}

#[test]
fn bursts_stalls_and_gaps_are_what_the_scenario_says() {
    let mut counts = vec![0_u32; 60_000];
    let (mut expected, mut gaps) = (1, Vec::new());
    watch("burst", 5_000, 59, |record| {
        counts[(at(record) / MILLI) as usize] += u32::from(is_primary(record));
        if is(record, rtype::MBP_1) {
            let sequence = u32_at(record, 44);
            if sequence != expected {
                gaps.push((at(record) / SECOND, sequence - expected));
            }
            expected = sequence + 1;
        }
    });
    let sum = |from: usize, to: usize| counts[from..to].iter().sum::<u32>();
    let (before, burst) = (sum(9_500, 10_000), sum(10_000, 10_500));
    assert!(burst > 4 * before && burst > 4 * sum(10_500, 11_000), "{burst} after {before}");
    assert_eq!(sum(40_000, 47_000), 0, "a stall is silent");
    assert!(sum(39_000, 40_000) > 1_000 && sum(47_000, 48_000) > 1_000);
    assert_eq!(gaps, [(25, 1), (30, 100)]);
}

#[test]
fn a_burst_is_ten_times_the_rate() {
    let counts = (0..10_u32).map(|seed| {
        let mut count = 0.0;
        play(
            &mut market("burst", 50, 2_000, u64::from(seed)),
            11 * SECOND,
            MILLI,
            4096,
            |record| {
                count += f64::from((10_000..10_500).contains(&(at(record) / MILLI)));
            },
        );
        count
    });
    let times = mean(counts) / 1_000.0;
    assert!((8.0..12.0).contains(&times), "{times} times the rate");
}

#[test]
fn prices_stay_sane_for_days() {
    let mut sim = market("calm", 5, 50, 3);
    let mut first: HashMap<u32, i64> = HashMap::new();
    let (mut widest, mut farthest) = (0.0_f64, 0.0_f64);
    play(&mut sim, 2 * 86_400 * SECOND, 60 * SECOND, 4096, |record| {
        let Some(q) = quote(record) else { return };
        let start = *first.entry(instrument_id(record)).or_insert(q.bid) as f64;
        widest = widest.max((q.ask - q.bid) as f64 / start);
        farthest = farthest.max((q.bid as f64 / start - 1.0).abs());
    });
    assert!(widest < 0.02, "a spread of {widest}");
    assert!((0.01..0.1).contains(&farthest), "strays by {farthest}: it walks, within reason");
}

#[test]
fn definitions_come_first_then_the_opening_then_the_market() {
    let mut sim = market("calm", 20_000, 1_000, 1);
    let directory = sim.instruments();
    assert_eq!((directory.len(), directory[0].symbol.as_str()), (20_000, "AAPL"));
    let mut order = Vec::new();
    play(&mut sim, SECOND, MILLI, 64, |record| match rtype_of(record) {
        rtype::INSTRUMENT_DEF => {
            let known = &directory[order.len()];
            assert_eq!(instrument_id(record), known.id);
            assert_eq!(u64_at(record, 24) as i64, known.tick.unwrap());
            order.push(0);
        }
        rtype::STATUS => order.push(1),
        _ => order.push(2),
    });
    assert!(order.is_sorted());
    let of = |kind| order.iter().filter(|k| **k == kind).count();
    assert_eq!((of(0), of(1)), (20_000, 20_000));
    assert!(of(2) > 500);
}

#[test]
fn the_official_reader_reads_and_prints_every_record() {
    let (mut bytes, mut records, mut json) = (Vec::new(), 0, Vec::new());
    watch("halt", 500, 45, |record| {
        bytes.extend_from_slice(record);
        records += 1;
    });
    let mut decoder = RecordDecoder::new(bytes.as_slice());
    let mut printer =
        JsonEncoder::builder(&mut json).use_pretty_px(true).use_pretty_ts(true).build();
    while let Some(record) = decoder.decode_ref().unwrap() {
        printer.encode_record_ref(record).unwrap();
    }
    let lines: Vec<_> = std::str::from_utf8(&json).unwrap().lines().collect();
    assert_eq!(lines.len(), records);
    let has = |line: &str, all: &[&str]| all.iter().all(|part| line.contains(part));
    let stock = ["\"AAPL\"", "\"USD\"", "\"K\"", "\"min_price_increment\":\"0.010000000\""];
    assert!(has(lines[0], &stock), "{}", lines[0]);
    assert!(lines.iter().any(|l| has(l, &["\"rtype\":18", "\"is_trading\":\"N\""])));
}

/// Everything of a record but what tells of its arrival.
fn content(record: &[u8]) -> Vec<u8> {
    let mut content = record.to_vec();
    match rtype_of(record) {
        rtype::STATUS | rtype::INSTRUMENT_DEF => content[16..24].fill(0),
        _ => content[32..44].fill(0),
    }
    content
}

#[test]
fn what_happens_does_not_depend_on_the_polls() {
    let run = |step, slots| {
        let mut all = Vec::new();
        let mut sim = market("halt", 300, 2_000, 9);
        play(&mut sim, 50 * SECOND, step, slots, |record| all.push(content(record)));
        all
    };
    let often = run(MILLI, 4096);
    assert!(often.len() > 80_000);
    assert!(often == run(10 * SECOND, 4096), "late polls");
    assert!(often == run(50 * MILLI, 9), "small batches");
}

#[test]
fn times_are_the_intended_ones_and_arrivals_those_of_the_polls() {
    let mut sim = market("calm", 200, 20_000, 1);
    let mut batch = Batch::new(4096);
    sim.poll(START, &mut batch).unwrap();
    let mut last = 0;
    for now in [3 * MILLI, 4 * MILLI, 100 * MILLI].map(|after| START + after) {
        batch.reset(1 << 16);
        let next = sim.poll(now, &mut batch).unwrap();
        assert!(matches!(next, Next::At(at) if at > now && at < now + SECOND));
        for record in batch.iter() {
            assert!(ts_event(record) >= last && ts_event(record) <= now);
            assert_eq!(index_ts(record), now);
            last = ts_event(record);
        }
    }
    assert!(last > START + 95 * MILLI);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let shipped = include_str!("../feeds/digests.txt").lines();
    let shipped: Vec<_> = shipped.filter(|line| !line.starts_with('#')).collect();
    let found = SCENARIOS.map(|scenario| {
        let (mut crc, mut records) = (crc32fast::Hasher::new(), 0);
        let mut sim = market(scenario, 50, 1_000, 42);
        play(&mut sim, 100 * SECOND, 5 * MILLI, 4096, |record| {
            crc.update(record);
            records += 1;
        });
        format!("{scenario} {records} {:08x}", crc.finalize())
    });
    assert_eq!(found.join("\n"), shipped.join("\n"));
}

#[test]
fn another_seed_is_another_market() {
    let of = |seed| {
        let mut bytes = Vec::new();
        let mut sim = market("calm", 50, 1_000, seed);
        play(&mut sim, SECOND, MILLI, 4096, |record| bytes.extend_from_slice(&content(record)));
        bytes
    };
    assert!(of(1) == of(1) && of(1) != of(2));
}
