//! What scenarios do to it: openings, halts, crashes, faults.

use std::collections::HashMap;

use super::*;

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
            1 << 18,
            |record| {
                count += f64::from((10_000..10_500).contains(&(at(record) / MILLI)));
            },
        );
        count
    });
    let times = mean(counts) / 1_000.0;
    assert!((8.0..12.0).contains(&times), "{times} times the rate");
}
