//! What makes it a market.

use std::collections::HashMap;

use super::*;

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
fn prices_stay_sane_for_days() {
    let mut sim = market("calm", 5, 50, 3);
    let mut first: HashMap<u32, i64> = HashMap::new();
    let (mut widest, mut farthest) = (0.0_f64, 0.0_f64);
    play(&mut sim, 2 * 86_400 * SECOND, 60 * SECOND, 1 << 18, |record| {
        let Some(q) = quote(record) else { return };
        let start = *first.entry(instrument_id(record)).or_insert(q.bid) as f64;
        widest = widest.max((q.ask - q.bid) as f64 / start);
        farthest = farthest.max((q.bid as f64 / start - 1.0).abs());
    });
    assert!(widest < 0.02, "a spread of {widest}");
    assert!((0.01..0.1).contains(&farthest), "strays by {farthest}: it walks, within reason");
}
