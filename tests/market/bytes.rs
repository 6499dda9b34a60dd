//! The records themselves: their order, their times, and that they are always the same.

use broadtape::wire::record::index_ts;
use dbn::decode::dbn::RecordDecoder;
use dbn::encode::{EncodeRecordRef, JsonEncoder};

use super::*;

#[test]
fn definitions_come_first_then_the_opening_then_the_market() {
    let mut sim = market("calm", 20_000, 1_000, 1);
    let directory = sim.instruments();
    assert_eq!((directory.len(), directory[0].symbol.as_str()), (20_000, "AAPL"));
    let mut order = Vec::new();
    play(&mut sim, SECOND, MILLI, 4096, |record| match rtype_of(record) {
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
    let run = |step, bytes| {
        let mut all = Vec::new();
        let mut sim = market("halt", 300, 2_000, 9);
        play(&mut sim, 50 * SECOND, step, bytes, |record| all.push(content(record)));
        all
    };
    let often = run(MILLI, 1 << 18);
    assert!(often.len() > 80_000);
    assert!(often == run(10 * SECOND, 1 << 18), "late polls");
    assert!(often == run(50 * MILLI, 576), "small batches");
}

#[test]
fn times_are_the_intended_ones_and_arrivals_those_of_the_polls() {
    let mut sim = market("calm", 200, 20_000, 1);
    let mut batch = Batch::new(1 << 18);
    sim.poll(START, &mut batch).unwrap();
    let mut last = 0;
    for now in [3 * MILLI, 4 * MILLI, 100 * MILLI].map(|after| START + after) {
        batch.reset(1 << 22);
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
    let shipped = include_str!("../../feeds/digests.txt").lines();
    let is_scenario = |line: &&str| !line.starts_with('#') && !line.contains(".dbn");
    let shipped: Vec<_> = shipped.filter(is_scenario).collect();
    let found = SCENARIOS.map(|scenario| {
        let (mut crc, mut records) = (crc32fast::Hasher::new(), 0);
        let mut sim = market(scenario, 50, 1_000, 42);
        play(&mut sim, 100 * SECOND, 5 * MILLI, 1 << 18, |record| {
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
        play(&mut sim, SECOND, MILLI, 1 << 18, |record| bytes.extend_from_slice(&content(record)));
        bytes
    };
    assert!(of(1) == of(1) && of(1) != of(2));
}
