//! A book against a plain list of orders, which is slow and obvious.

use proptest::prelude::*;

use super::*;
use crate::wire::record::flags::LAST;

const FULL: usize = 1 << 20;

fn event(action: u8, order_id: u64, bid: bool, price: i64, size: u32) -> Event {
    Event {
        ts_event: 1,
        ts_recv: 2,
        order_id,
        price,
        size,
        sequence: 3,
        publisher: 9,
        channel: 4,
        flags: LAST,
        action,
        side: if bid { b'B' } else { b'A' },
    }
}

/// Orders in the order in which they queue, whatever their price.
#[derive(Default)]
struct Naive {
    orders: Vec<(u64, bool, i64, u32)>,
    unknown: u64,
}

impl Naive {
    fn apply(&mut self, event: &Event) {
        let order = (event.order_id, event.side == b'B', event.price, event.size);
        let at = self.orders.iter().position(|(id, ..)| *id == event.order_id);
        self.unknown += u64::from(b"CM".contains(&event.action) && at.is_none());
        match (event.action, at) {
            (b'A', Some(at)) => {
                self.orders.remove(at);
                self.orders.push(order);
            }
            (b'A' | b'M', None) => self.orders.push(order),
            (b'C', Some(at)) if event.size >= self.orders[at].3 => drop(self.orders.remove(at)),
            (b'C', Some(at)) => self.orders[at].3 -= event.size,
            (b'M', Some(at)) => {
                let (_, bid, price, size) = self.orders[at];
                if (bid, price) == (order.1, order.2) && order.3 <= size {
                    self.orders[at].3 = order.3;
                } else {
                    self.orders.remove(at);
                    self.orders.push(order);
                }
            }
            (b'R', _) => self.orders.clear(),
            _ => {}
        }
    }

    /// Price, size and count of the levels of a side, the best first.
    fn levels(&self, bid: bool) -> Vec<(i64, u32, u32)> {
        let side = || self.orders.iter().filter(|order| order.1 == bid);
        let mut prices: Vec<i64> = side().map(|order| order.2).collect();
        prices.sort_unstable_by_key(|price| if bid { -price } else { *price });
        prices.dedup();
        let level = |price: &i64| {
            let at = || side().filter(|order| order.2 == *price);
            (*price, at().map(|order| order.3).sum(), at().count() as u32)
        };
        prices.iter().map(level).collect()
    }

    fn ten(&self) -> [BidAskPair; TEN] {
        let mut ten = [side::EMPTY; TEN];
        for (pair, (price, size, count)) in ten.iter_mut().zip(self.levels(true)) {
            (pair.bid_px, pair.bid_sz, pair.bid_ct) = (price, size, count);
        }
        for (pair, (price, size, count)) in ten.iter_mut().zip(self.levels(false)) {
            (pair.ask_px, pair.ask_sz, pair.ask_ct) = (price, size, count);
        }
        ten
    }

    /// Ids in the order in which a book tells them.
    fn ids(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        for bid in [true, false] {
            for (price, ..) in self.levels(bid) {
                let queue = self.orders.iter().filter(|order| (order.1, order.2) == (bid, price));
                ids.extend(queue.map(|order| order.0));
            }
        }
        ids
    }
}

/// Few ids and prices, so that orders meet.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let action = prop_oneof![
        8 => Just(b'A'), 6 => Just(b'C'), 6 => Just(b'M'), 1 => Just(b'F'), 1 => Just(b'T'),
    ];
    let rare = prop_oneof![60 => action, 1 => Just(b'R')];
    let one = (rare, 0..40u64, any::<bool>(), 90..130i64, 1..9u32);
    let one = one.prop_map(|(action, id, bid, price, size)| event(action, id, bid, price, size));
    prop::collection::vec(one, 0..400)
}

proptest! {
    #[test]
    fn it_is_what_a_plain_list_says(events in events()) {
        let (mut book, mut naive, mut room) = (Book::default(), Naive::default(), FULL);
        let (mut top, mut ten) = (book.top(), book.ten());
        for event in &events {
            book.apply(event, &mut room);
            naive.apply(event);
            let expected = naive.ten();
            prop_assert!(book.is_touched(true) || expected == ten, "the ten changed untouched");
            prop_assert!(book.is_touched(false) || expected[0] == top, "the top changed untouched");
            (ten, top) = (book.ten(), book.top());
            prop_assert_eq!(&ten, &expected);
            prop_assert_eq!(&top, &expected[0]);
        }
        let ids: Vec<u64> = book.orders().map(|order| order.id).collect();
        prop_assert_eq!(ids, naive.ids());
        prop_assert_eq!(book.faults().unknown, naive.unknown);
        prop_assert!(room + 40 >= FULL, "there are 40 ids, and slots are used again");
        book.clear(&mut room);
        prop_assert_eq!(room, FULL);
    }

    #[test]
    fn its_orders_make_it_again(events in events()) {
        let (mut book, mut again, mut room) = (Book::default(), Book::default(), FULL);
        for event in &events {
            book.apply(event, &mut room);
        }
        for order in book.orders() {
            let record = order.record(5, 0);
            again.apply(&Event::of(crate::wire::record::bytes_of(&record)), &mut room);
        }
        let list = |book: &Book| -> Vec<_> {
            book.orders().map(|o| (o.id, o.bid, o.price, o.size, o.ts_event)).collect()
        };
        prop_assert_eq!(list(&again), list(&book));
        prop_assert_eq!(again.faults(), Faults::default());
    }

    #[test]
    fn any_bytes_do_no_harm(records in prop::collection::vec(any::<[u8; 56]>(), 0..200)) {
        let (mut book, mut room) = (Book::default(), 20);
        for mut record in records {
            record[39] = b"ACMRTFN?"[usize::from(record[39] % 8)];
            // The fields of an order at few values, and at any.
            if record[0] < 200 {
                record[17..24].fill(0);
                record[38] = b"AB"[usize::from(record[38] % 2)];
            }
            book.apply(&Event::of(&record), &mut room);
            book.ten();
            prop_assert!(book.len() + room <= 20);
        }
        book.clear(&mut room);
        prop_assert_eq!(room, 20);
    }
}

#[test]
fn what_does_not_fit_is_refused_and_counted() {
    let (mut book, mut room) = (Book::default(), 1);
    book.apply(&event(b'A', 1, true, 100, 5), &mut room);
    book.apply(&event(b'A', 2, true, 100, 5), &mut room);
    assert_eq!((book.len(), room, book.faults().refused), (1, 0, 1));
    book.apply(&event(b'R', 0, true, 0, 0), &mut room);
    assert_eq!((book.len(), room), (0, 1));
    assert_eq!(book.top(), side::EMPTY);
}

#[test]
fn a_snapshot_and_a_recording_that_begins_again_replace_it() {
    let (mut book, mut room) = (Book::default(), FULL);
    let hour = 3_600 * crate::clock::SECOND;
    let at = |event: Event, ts_recv, flags| Event { ts_recv, flags, ..event };
    let ids = |book: &Book| book.orders().map(|order| order.id).collect::<Vec<_>>();
    book.apply(&at(event(b'A', 1, true, 100, 5), 2 * hour, LAST), &mut room);
    book.apply(&at(event(b'A', 2, true, 101, 5), hour, SNAPSHOT), &mut room);
    book.apply(&at(event(b'A', 3, true, 101, 5), hour, SNAPSHOT | LAST), &mut room);
    assert_eq!(ids(&book), [2, 3]);
    book.apply(&at(event(b'A', 4, true, 99, 5), 2 * hour, LAST), &mut room);
    assert_eq!(ids(&book), [2, 3, 4]);
    book.apply(&at(event(b'A', 5, true, 99, 5), 2 * hour - 1, LAST), &mut room);
    assert_eq!(ids(&book), [2, 3, 4, 5], "a little back is disorder");
    book.apply(&at(event(b'A', 6, true, 99, 5), hour, LAST), &mut room);
    assert_eq!(ids(&book), [6]);
}

#[test]
fn a_top_of_book_record_is_all_of_its_side() {
    let (mut book, mut room) = (Book::default(), FULL);
    let tob = |bid, price| Event { flags: TOB | LAST, ..event(b'A', 0, bid, price, 7) };
    for event in [tob(true, 100), tob(false, 102), tob(true, 101)] {
        book.apply(&event, &mut room);
    }
    let top = book.top();
    assert_eq!((top.bid_px, top.ask_px, top.bid_ct, book.len()), (101, 102, 1, 2));
    book.apply(&tob(false, UNDEF_PRICE), &mut room);
    assert_eq!((book.top().ask_px, book.faults()), (UNDEF_PRICE, Faults::default()));
}
