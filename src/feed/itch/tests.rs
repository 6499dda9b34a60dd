//! ITCH made by hand, as files and as captures, whole and damaged.

use proptest::prelude::*;

use super::*;
use crate::feed::pcap::captures::{capture, capture_ng, mold};
use crate::feed::pcap::stream::{DUPLICATES, GAPS};
use crate::feed::source::testing::{Brought, bring, bring_bytes, damage, file, recording};
use crate::wire::record::{self, rtype, u64_at};

/// 2019-12-30 00:00 in New York.
const MIDNIGHT: u64 = 1_577_682_000_000_000_000;
const CENT: i64 = 10_000_000;

/// A message of stock 7: its type, its time, and the rest.
fn message(kind: u8, time: u64, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 7, 0, 0];
    bytes.extend(&time.to_be_bytes()[2..]);
    parts.iter().for_each(|part| bytes.extend(*part));
    bytes
}

fn add(order: u64, side: u8, size: u32, price: u32) -> Vec<u8> {
    let (order, size, price) = (order.to_be_bytes(), size.to_be_bytes(), price.to_be_bytes());
    message(b'A', 100, &[&order, &[side], &size, b"AAPL    ", &price])
}

/// A message that refers to an order.
fn about(kind: u8, order: u64, parts: &[&[u8]]) -> Vec<u8> {
    message(kind, 200, &[&[&order.to_be_bytes()[..]], parts].concat())
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|m| [&(m.len() as u16).to_be_bytes()[..], m].concat()).collect()
}

fn read(bytes: &[u8]) -> Brought {
    bring_bytes(Format::Itch, bytes)
}

/// One of each kind, in an order that makes sense.
fn day() -> Vec<Vec<u8>> {
    let (two, price) = (2_u32.to_be_bytes(), 1_005_000_u32.to_be_bytes());
    let (long, name) = (9_u64.to_be_bytes(), b"AAPL    ");
    let lot = 100_u32.to_be_bytes();
    vec![
        message(b'S', 1, &[b"O"]),
        message(b'R', 2, &[name, b"QN", &lot, b"NCZ PN 1N", &[0; 5]]),
        message(b'H', 3, &[name, b"H ", b"T12 "]),
        message(b'Y', 4, &[name, b"1"]),
        message(b'L', 5, &[b"MPID", name, b"YNA"]),
        message(b'V', 6, &[&[0; 24]]),
        message(b'W', 7, &[b"1"]),
        message(b'K', 8, &[name, &two, b"A", &price]),
        message(b'J', 9, &[name, &price, &price, &price, &two]),
        message(b'h', 10, &[name, b"QT"]),
        add(1, b'B', 10, 1_000_000),
        message(b'F', 100, &[&2_u64.to_be_bytes(), b"S", &two, name, &price, b"MPID"]),
        about(b'E', 1, &[&two, &long]),
        about(b'C', 1, &[&two, &long, b"Y", &price]),
        about(b'X', 1, &[&two]),
        about(b'U', 1, &[&3_u64.to_be_bytes(), &two, &price]),
        about(b'D', 3, &[]),
        about(b'P', 0, &[b"B", &two, name, &price, &long]),
        message(b'Q', 300, &[&long, name, &price, &long, b"C"]),
        message(b'B', 301, &[&long]),
        message(b'I', 302, &[&long, &long, b"B", name, &[0; 4], &price, &price, b"CL"]),
        message(b'N', 303, &[name, b"B"]),
        message(b'O', 304, &[name, b"Y", &[0; 28]]),
    ]
}

#[test]
fn each_message_becomes_what_the_book_needs() {
    let brought = read(&framed(&day()));
    assert_eq!(brought.error, None);
    assert_eq!((brought.tally.messages.len(), brought.tally.total()), (23, 23));
    assert_eq!(brought.tally.skipped.len(), 9, "{:?}", brought.tally.skipped);
    let expected = [
        ("AB.", 1, 10_000, 10),
        ("AA.", 2, 10_050, 2),
        ("TA", 0, 10_000, 2),
        ("FB", 1, 10_000, 2),
        ("CB.", 1, 10_000, 2),
        ("TA", 0, 10_050, 2),
        ("FB", 1, 10_050, 2),
        ("CB.", 1, 10_000, 2),
        ("CB.", 1, 10_000, 2),
        ("CB", 1, 10_000, 4),
        ("AB.", 3, 10_050, 2),
        ("CB.", 3, 10_050, 2),
        ("TN.", 0, 10_050, 2),
        ("TN.", 0, 10_050, 9),
    ];
    let expected =
        expected.map(|(event, id, cents, size)| (event.to_owned(), id, cents * CENT, size));
    assert_eq!(brought.events(), expected);
    let first = &brought.records[0];
    assert_eq!((first[1], record::instrument_id(first)), (rtype::SYMBOL_MAPPING, 7));
    assert_eq!((brought.of(rtype::STATUS).count(), brought.of(rtype::IMBALANCE).count()), (3, 1));
    assert_eq!(brought.of(rtype::INSTRUMENT_DEF).count(), 1);
    assert_eq!(u64_at(brought.of(rtype::MBO).next().unwrap(), 8), MIDNIGHT + 100);
}

#[test]
fn orders_that_were_not_seen_are_counted() {
    let two = 2_u32.to_be_bytes();
    let price = 1_005_000_u32.to_be_bytes();
    let brought = read(&framed(&[
        about(b'D', 8, &[]),
        about(b'X', 8, &[&two]),
        about(b'E', 8, &[&two, &[0; 8]]),
        about(b'U', 8, &[&9_u64.to_be_bytes(), &two, &price]),
        about(b'C', 8, &[&two, &[0; 8], b"Y", &price]),
    ]));
    assert_eq!(brought.events(), [("TN.".to_owned(), 0, 10_050 * CENT, 2)]);
    let skipped: u64 = brought.tally.skipped.iter().map(|(.., count)| count).sum();
    assert_eq!((brought.tally.total(), skipped), (5, 4));
}

#[test]
fn captures_bring_the_same_with_times_of_their_own() {
    let (session, day) = (b"20191230AA", day());
    let packets: Vec<_> = (day.iter().enumerate())
        .flat_map(|(n, m)| {
            let packet = mold(session, n as u64 + 1, std::slice::from_ref(m));
            let time = MIDNIGHT + 1_000 + n as u64;
            [(time, 1, packet.clone()), (time, 2, packet)]
        })
        .collect();
    for bytes in [capture(&packets), capture_ng(&packets)] {
        let file = file(&bytes);
        let mut of = recording(Format::Itch, file.path());
        of.how = std::sync::Arc::default();
        let brought = bring(&of);
        assert_eq!(brought.error, None);
        assert_eq!(brought.events(), read(&framed(&day)).events());
        assert_eq!(brought.tally.found(DUPLICATES), 23);
        let order = brought.of(rtype::MBO).next().unwrap();
        assert_eq!((u64_at(order, 8), u64_at(order, 40)), (MIDNIGHT + 100, MIDNIGHT + 1_010));
    }
}

#[test]
fn holes_and_late_packets_are_found() {
    let packet = |n: u64| (MIDNIGHT + n, 1, mold(b"S         ", n, &[add(n, b'B', 1, 1)]));
    let brought = read(&capture(&[packet(1), packet(3), packet(2), packet(6), packet(6)]));
    let ids: Vec<_> = brought.events().iter().map(|event| event.1).collect();
    assert_eq!(ids, [1, 2, 3, 6]);
    let found = (brought.tally.found(GAPS), brought.tally.found(DUPLICATES));
    assert_eq!(found, (2, 1), "{:?}", brought.tally.findings);
}

#[test]
fn the_last_number_there_is_may_come() {
    let packet = (MIDNIGHT, 1, mold(b"S         ", u64::MAX - 1, &[add(1, b'B', 1, 1)]));
    let brought = read(&capture(&[packet]));
    assert_eq!((brought.error, brought.tally.total()), (None, 1));
}

#[test]
fn what_is_wrong_is_told() {
    let whole = framed(&day());
    let cut = read(&whole[..whole.len() - 3]);
    assert_eq!(cut.error, None);
    assert_eq!(cut.tally.found("files that end within a message"), 1);
    let mut broken = whole.clone();
    broken[2 + 12 + 2] = b'?';
    let error = read(&broken).error.unwrap();
    assert!(error.contains("message 2 at byte 14: type \"?\" is none of ITCH 5.0"), "{error}");
    let foreign = read(b"DBN\x03 is no ITCH").error.unwrap();
    assert!(foreign.contains("(DBN); expected the length and the type of an ITCH"), "{foreign}");
    let file = file(&whole);
    let mut of = recording(Format::Itch, file.path());
    of.how = std::sync::Arc::default();
    assert!(bring(&of).error.unwrap().contains("give its day, as in --date"));
    let back = read(&framed(&[add(1, b'B', 1, 1), message(b'H', 50, &[b"AAPL    T     "])]));
    assert_eq!(back.tally.found("times that go back"), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_are_read_or_refused(bytes in damage(framed(&day()))) {
        read(&bytes);
    }

    #[test]
    fn damaged_captures_are_read_or_refused(
        bytes in prop_oneof![damage(capture(&packets())), damage(capture_ng(&packets()))],
    ) {
        read(&bytes);
    }
}

fn packets() -> Vec<crate::feed::pcap::captures::Packet> {
    let each = day().into_iter().enumerate();
    each.map(|(n, m)| (MIDNIGHT, 1, mold(b"S         ", n as u64, &[m]))).collect()
}
