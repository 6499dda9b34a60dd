//! TOPS and DEEP made by hand, in captures, whole and damaged.

use proptest::prelude::*;

use super::*;
use crate::feed::pcap::captures::{Packet, capture, capture_ng, iex_tp};
use crate::feed::pcap::stream::{DUPLICATES, GAPS};
use crate::feed::source::testing::{bring_bytes, damage};
use crate::wire::record::{rtype, u32_at, u64_at};

const TOPS: u16 = 0x8003;
const DEEP: u16 = 0x8004;
const CENT: i64 = 10_000_000;
const T0: u64 = 1_577_716_200_000_000_000;

/// A message about ZIEXT: its type, a byte, and what follows the symbol.
fn message(kind: u8, byte: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![kind, byte];
    bytes.extend((T0 - 1_000).to_le_bytes());
    bytes.extend(b"ZIEXT   ");
    parts.iter().for_each(|part| bytes.extend(*part));
    bytes
}

fn quote(bid: (u64, u32), ask: (u64, u32)) -> Vec<u8> {
    let (bid_size, bid) = (bid.1.to_le_bytes(), (bid.0 * 100).to_le_bytes());
    let (ask_size, ask) = (ask.1.to_le_bytes(), (ask.0 * 100).to_le_bytes());
    message(b'Q', 0, &[&bid_size, &bid, &ask, &ask_size])
}

fn trade(size: u32, cents: u64) -> Vec<u8> {
    message(b'T', 0, &[&size.to_le_bytes(), &(cents * 100).to_le_bytes(), &[0; 8]])
}

fn level(side: u8, last: bool, size: u32, cents: u64) -> Vec<u8> {
    message(side, u8::from(last), &[&size.to_le_bytes(), &(cents * 100).to_le_bytes()])
}

fn day() -> Vec<Vec<u8>> {
    let price = 1_000_000_u64.to_le_bytes();
    vec![
        message(b'S', b'O', &[])[..10].to_vec(),
        message(b'D', 0, &[&100_u32.to_le_bytes(), &price, &[1]]),
        message(b'H', b'T', &[b"    "]),
        message(b'O', b'N', &[]),
        message(b'P', 1, &[b"A"]),
        quote((10_000, 100), (10_001, 200)),
        quote((10_000, 300), (10_001, 200)),
        trade(50, 10_001),
        quote((10_000, 300), (0, 0)),
        message(b'B', 0, &[&[0; 20]]),
        message(b'X', b'M', &[&price]),
        message(b'A', b'C', &[&[0; 62]]),
        message(b'E', b'O', &[]),
    ]
}

fn packets(protocol: u16, messages: &[Vec<u8>]) -> Vec<Packet> {
    let each = messages.iter().enumerate();
    let packet = |(n, m): (usize, &Vec<u8>)| {
        (T0 + n as u64, 1, iex_tp(protocol, n as u64 + 1, std::slice::from_ref(m)))
    };
    each.map(packet).collect()
}

#[test]
fn each_message_of_tops_becomes_records() {
    for bytes in [capture(&packets(TOPS, &day())), capture_ng(&packets(TOPS, &day()))] {
        let brought = bring_bytes(Format::Iex, &bytes);
        assert_eq!((brought.error.as_deref(), brought.tally.total()), (None, 13));
        let event = |name: &str, cents, size| (name.to_owned(), 0, cents * CENT, size);
        let undefined = (i64::MAX, 0);
        let expected = [
            ("MN.".to_owned(), 0, undefined.0, undefined.1),
            event("MB.", 10_000, 300),
            event("TN.", 10_001, 50),
            event("TN.", 10_001, 50),
            ("MA.".to_owned(), 0, i64::MAX, 0),
        ];
        assert_eq!(brought.events(), expected);
        let kinds = [rtype::STATUS, rtype::INSTRUMENT_DEF, rtype::STATISTICS, rtype::IMBALANCE];
        assert_eq!(kinds.map(|kind| brought.of(kind).count()), [3, 1, 1, 1]);
        let trade = brought.of(rtype::MBP_1).nth(2).unwrap();
        let (bid, ask) = (u64_at(trade, 48) as i64, u64_at(trade, 56) as i64);
        assert_eq!((bid, ask, u32_at(trade, 64)), (10_000 * CENT, 10_001 * CENT, 300));
        assert_eq!((u64_at(trade, 8), u64_at(trade, 32)), (T0 - 1_000, T0 + 7));
        assert_eq!(brought.tally.skipped.len(), 3);
    }
}

#[test]
fn levels_of_deep_become_orders() {
    let messages = [
        level(b'8', false, 100, 10_000),
        level(b'5', true, 200, 10_001),
        level(b'8', true, 150, 10_000),
        level(b'8', true, 150, 10_000),
        level(b'5', true, 0, 10_001),
        level(b'5', true, 0, 10_002),
    ];
    let brought = bring_bytes(Format::Iex, &capture(&packets(DEEP, &messages)));
    let bid = (10_000 * CENT) as u64;
    let ask = 1 << 63 | (10_001 * CENT) as u64;
    let event = |name: &str, id, cents, size| (name.to_owned(), id, cents * CENT, size);
    let expected = [
        event("AB", bid, 10_000, 100),
        event("AA.", ask, 10_001, 200),
        event("MB.", bid, 10_000, 150),
        event("CA.", ask, 10_001, 200),
    ];
    assert_eq!(brought.events(), expected);
    assert!(brought.of(rtype::MBO).all(|record| record[36] & 0x10 != 0));
    assert_eq!(brought.tally.skipped[0].2 + brought.tally.skipped[1].2, 2);
}

#[test]
fn both_lines_bring_each_message_once_and_holes_are_told() {
    let mut all = packets(TOPS, &day());
    let second: Vec<Packet> = all.iter().map(|(t, _, p)| (t + 1, 2, p.clone())).collect();
    all.remove(6);
    let mut lines = [all, second].concat();
    lines.sort_by_key(|packet| packet.0);
    let whole = bring_bytes(Format::Iex, &capture(&packets(TOPS, &day())));
    let both = bring_bytes(Format::Iex, &capture(&lines));
    assert_eq!(both.events(), whole.events());
    assert_eq!((both.tally.found(DUPLICATES), both.tally.found(GAPS)), (12, 0));
    lines.retain(|(.., packet)| packet[24] != 7);
    let holed = bring_bytes(Format::Iex, &capture(&lines));
    assert_eq!((holed.tally.found(GAPS), holed.tally.total()), (1, 12));
}

#[test]
fn the_last_number_there_is_may_come() {
    let packet = (T0, 1, iex_tp(TOPS, u64::MAX - 1, &[trade(50, 10_001)]));
    let brought = bring_bytes(Format::Iex, &capture(&[packet]));
    assert_eq!((brought.error, brought.tally.total()), (None, 1));
}

#[test]
fn what_is_no_capture_of_it_is_refused() {
    let error = bring_bytes(Format::Iex, b"DBN\x03 something else, long enough").error.unwrap();
    assert!(error.contains("(DBN); expected a capture, pcap or pcapng"), "{error}");
    let error = bring_bytes(Format::Iex, &capture(&[(1, 1, vec![0; 60])])).error.unwrap();
    assert!(error.contains("holds no packet of IEX-TP"), "{error}");
    let cut = capture(&packets(TOPS, &day()));
    let cut = bring_bytes(Format::Iex, &cut[..cut.len() - 3]);
    assert_eq!(cut.tally.found("files that end within a packet"), 1);
    let other = bring_bytes(Format::Iex, &capture(&packets(0x8002, &day())));
    let what = "packets of another protocol than TOPS 1.6 and DEEP 1.0";
    assert_eq!((other.records.len(), other.tally.found(what)), (0, 13));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_captures_are_read_or_refused(
        bytes in prop_oneof![
            damage(capture(&packets(TOPS, &day()))),
            damage(capture_ng(&packets(DEEP, &day()))),
        ],
    ) {
        bring_bytes(Format::Iex, &bytes);
    }
}
