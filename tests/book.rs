//! Order books against recordings of real ones: of the ES future, whose end is known, and of
//! LOBSTER's AAPL, whose book after each event is recorded too.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]
#![allow(clippy::print_stdout, reason = "it says when it is skipped")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use broadtape::book::{Book, Event, Faults, TEN};
use broadtape::clock::SECOND;
use broadtape::feed::{Batch, Deriver};
use broadtape::limits::BOOK_ORDERS_MAX;
use broadtape::wire::file::Reader;
use broadtape::wire::instrument::bit;
use broadtape::wire::record::{
    self, FlagSet, MboMsg, Schema, bytes_of, flags, header, rtype, rtype_of, u32_at, u64_at,
};

const ORDERS: &str = "esh4-glbx-mdp3-20231225.mbo.dbn.zst";

/// A recording; none where there are no recordings, which CI does not accept.
fn recording(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("BROADTAPE_DATA").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no {}", path.display());
    println!("skipped: no recorded data");
    None
}

fn orders() -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader::open(&recording(ORDERS)?).unwrap();
    let mut records = Vec::new();
    while reader.advance().unwrap() {
        records.push(reader.record().to_vec());
    }
    Some(records)
}

#[test]
fn the_book_of_the_future_ends_as_is_known() {
    let Some(records) = orders() else { return };
    let (mut book, mut room) = (Book::default(), BOOK_ORDERS_MAX);
    for record in &records {
        book.apply(&Event::of(record), &mut room);
    }
    let top = book.top();
    assert_eq!((records.len(), book.len()), (68_792, 11_217));
    assert_eq!((top.bid_px, top.ask_px), (4_810_000_000_000, 4_810_250_000_000));
    assert_eq!(book.faults(), Faults::default());
}

/// What is derived of these records: for each the records that come out behind it.
fn derive(schemas: u32, records: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let (mut deriver, mut out) = (Deriver::new(schemas), Batch::new(64_000));
    let each = |record: &Vec<u8>| {
        assert!(deriver.observe(record, &mut out));
        assert!(out.is_empty(), "nothing that comes with time is asked for");
        assert!(deriver.follow(&mut out));
        let derived = out.iter().map(<[u8]>::to_vec).collect();
        out.reset(64_000);
        derived
    };
    let derived = records.iter().map(each).collect();
    assert_eq!(deriver.faults(), Faults::default());
    derived
}

/// Orders in plain maps: by id, and the sum of each price.
#[derive(Default)]
struct Plain {
    orders: BTreeMap<u64, (u8, i64, u32)>,
    /// Size and count by price, of bids and asks.
    levels: [BTreeMap<i64, (u32, u32)>; 2],
}

impl Plain {
    fn apply(&mut self, event: &Event) {
        let known = self.orders.get(&event.order_id).copied();
        let left = match (event.action, known) {
            (b'A' | b'M', _) => Some((event.side, event.price, event.size)),
            (b'C', Some((side, price, size))) => Some((side, price, size - event.size)),
            _ => return,
        };
        known.into_iter().for_each(|order| self.count(order, false));
        self.orders.remove(&event.order_id);
        if let Some(order) = left.filter(|(_, _, size)| *size > 0) {
            self.count(order, true);
            self.orders.insert(event.order_id, order);
        }
    }

    fn count(&mut self, (side, price, size): (u8, i64, u32), comes: bool) {
        let side = &mut self.levels[usize::from(side == b'A')];
        let level = side.entry(price).or_default();
        match comes {
            true => (level.0, level.1) = (level.0 + size, level.1 + 1),
            false => (level.0, level.1) = (level.0 - size, level.1 - 1),
        }
        if level.1 == 0 {
            side.remove(&price);
        }
    }

    /// Price, size and count of the best levels.
    fn ten(&self) -> [Vec<(i64, u32, u32)>; 2] {
        let level = |(price, (size, count)): (&i64, &(u32, u32))| (*price, *size, *count);
        [
            self.levels[0].iter().rev().map(level).take(TEN).collect(),
            self.levels[1].iter().map(level).take(TEN).collect(),
        ]
    }
}

/// The same of an `mbp-1` or `mbp-10` record.
fn levels(record: &[u8]) -> [Vec<(i64, u32, u32)>; 2] {
    [0, 1].map(|side| {
        let level = |pair: &[u8]| {
            (
                u64_at(pair, 8 * side) as i64,
                u32_at(pair, 16 + 4 * side),
                u32_at(pair, 24 + 4 * side),
            )
        };
        let all = record[48..].chunks_exact(32).map(level);
        all.filter(|(_, _, count)| *count > 0).collect()
    })
}

/// The three records of a trade, beside the book before it.
fn assert_trade(event: &Event, derived: &[Vec<u8>], before: &[Vec<(i64, u32, u32)>; 2]) {
    let kinds: Vec<u8> = derived.iter().map(|r| rtype_of(r)).collect();
    assert_eq!(kinds, [rtype::MBP_0, rtype::MBP_1, rtype::MBP_10], "{event:?}");
    for r in derived {
        assert_eq!((record::ts_event(r), u64_at(r, 32)), (event.ts_event, event.ts_recv));
        assert_eq!((u64_at(r, 16) as i64, u32_at(r, 24)), (event.price, event.size));
        assert_eq!((r[28], r[29], u32_at(r, 44)), (b'T', event.side, event.sequence));
    }
    assert_eq!(levels(&derived[2]), *before, "{event:?}");
}

#[test]
fn what_is_derived_of_orders_is_what_a_plain_map_says() {
    let Some(records) = orders() else { return };
    let schemas = bit(Schema::Trades) | bit(Schema::Mbp1) | bit(Schema::Mbp10);
    let derived = derive(schemas, &records);
    let mut plain = Plain::default();
    let (mut trades, mut tops, mut tens) = (0, 0, 0);
    let mut before = plain.ten();
    for (record, derived) in records.iter().zip(&derived) {
        let event = Event::of(record);
        plain.apply(&event);
        if event.action == b'T' {
            assert_trade(&event, derived, &before);
            trades += 1;
        } else if event.flags & flags::LAST == 0 {
            assert!(derived.is_empty(), "in the midst of an event: {event:?}");
        } else {
            let now = plain.ten();
            let top = |ten: &[Vec<_>; 2]| [ten[0].first().copied(), ten[1].first().copied()];
            let expected = [top(&now) != top(&before), now != before];
            let kinds: Vec<u8> = derived.iter().map(|r| rtype_of(r)).collect();
            assert_eq!([kinds.contains(&rtype::MBP_1), kinds.contains(&rtype::MBP_10)], expected);
            for r in derived {
                let depth = if rtype_of(r) == rtype::MBP_1 { 1 } else { TEN };
                let best = now.clone().map(|side| side.into_iter().take(depth).collect::<Vec<_>>());
                assert_eq!(levels(r), best, "{event:?}");
                assert!(r[30] & flags::LAST != 0 && record::index_ts(r) == event.ts_recv);
            }
            (tops, tens) = (tops + u32::from(expected[0]), tens + u32::from(expected[1]));
            before = now;
        }
    }
    assert_eq!((trades, tops, tens), (2_973, 25_440, 37_064));
}

/// LOBSTER's rows, as `mbo` records: seconds, type, id, size, price (1e-4), direction.
fn lobster(text: &str) -> Vec<MboMsg> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells[at].trim().parse::<i64>().unwrap();
        let action = match number(1) {
            1 => b'A',
            // Cancelled, deleted, executed: the order gets smaller by that much.
            2..=4 => b'C',
            _ => b'N',
        };
        let at = (cells[0].parse::<f64>().unwrap() * 1e9) as u64;
        MboMsg {
            hd: header::<MboMsg>(rtype::MBO, 64_900, 1, at),
            order_id: number(2) as u64,
            price: number(4) * 100_000,
            size: number(3) as u32,
            flags: FlagSet::new(flags::LAST),
            channel_id: 0,
            action: action as i8,
            side: if number(5) == 1 { b'B' } else { b'A' } as i8,
            ts_recv: at + SECOND,
            ts_in_delta: 0,
            sequence: 0,
        }
    };
    text.lines().map(row).collect()
}

/// Price and size of the ten levels of each side that LOBSTER recorded after an event.
fn recorded(line: &str) -> [Vec<(i64, u32)>; 2] {
    let cells: Vec<i64> = line.split(',').map(|cell| cell.trim().parse().unwrap()).collect();
    let side = |at: usize| {
        let level = |row: &[i64]| (row[at] * 100_000, row[at + 1] as u32);
        cells.chunks_exact(4).map(level).collect()
    };
    [side(2), side(0)]
}

/// Transitions that agree: LOBSTER's file begins with a book already there, whose orders are not
/// told. The one row's levels, as orders, and the next event have to make the next row, as far as
/// that can be known: what moves up from behind the tenth level can't.
#[test]
fn lobsters_transitions_agree() {
    let names = ["message", "orderbook"].map(|kind| format!("lobster_AAPL_{kind}_10_first999.csv"));
    let Some((messages, books)) = recording(&names[0]).zip(recording(&names[1])) else { return };
    let messages = lobster(&std::fs::read_to_string(messages).unwrap());
    let text = std::fs::read_to_string(books).unwrap();
    let rows: Vec<_> = text.lines().map(recorded).collect();
    let mut agreed = 0;
    for (n, event) in messages.iter().enumerate().skip(1) {
        let (mut book, mut room) = (Book::default(), 100);
        let level_of = |bid: bool, price: i64, size: u32, id: u64| MboMsg {
            order_id: id,
            action: b'A' as i8,
            side: if bid { b'B' } else { b'A' } as i8,
            price,
            size,
            ..event.clone()
        };
        for (at, side) in rows[n - 1].iter().enumerate() {
            for (price, size) in side {
                // The order that the event is about is a part of its level; the rest is another.
                let about = event.action == b'C' as i8
                    && (at == 0, *price) == (event.side == b'B' as i8, event.price);
                let part = if about { event.size } else { 0 };
                for (id, size) in [(event.order_id, part), (*price as u64 * 2, size - part)] {
                    if size > 0 {
                        let order = level_of(at == 0, *price, size, id);
                        book.apply(&Event::of(bytes_of(&order)), &mut room);
                    }
                }
            }
        }
        book.apply(&Event::of(bytes_of(event)), &mut room);
        let ten = book.ten();
        let ours = [
            ten.iter().filter(|l| l.bid_ct > 0).map(|l| (l.bid_px, l.bid_sz)).collect::<Vec<_>>(),
            ten.iter().filter(|l| l.ask_ct > 0).map(|l| (l.ask_px, l.ask_sz)).collect::<Vec<_>>(),
        ];
        let same = ours
            .iter()
            .zip(&rows[n])
            .all(|(ours, theirs)| ours.len() >= TEN - 1 && ours[..] == theirs[..ours.len()]);
        assert!(same, "row {n}: {ours:?} and {:?} after {event:?}", rows[n]);
        agreed += 1;
    }
    assert_eq!(agreed, 998);
}
