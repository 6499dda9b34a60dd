//! The order book of one instrument, kept from its `mbo` records: every order by its id, and its
//! place in the queue of its price.
//!
//! Vocabulary, not a stage: the feed derives from books and a shard sends them as snapshots, so
//! both name it, and it names no stage.
//!
//! As DBN defines the actions: `A` adds, `M` changes (to the end of the queue where the price
//! changes or the size grows), `C` takes its size off, `R` empties the book; `T` and `F` tell of a
//! trade whose effect other records bring. With the flag TOB an `A` is all there is of its side.
//!
//! Nothing that comes in can harm it: what refers to an order that it has not is counted
//! ([`Faults`]) and else taken as far as it makes sense; orders beyond the room that it is given
//! are refused and counted.
//!
//! Invariants:
//! 1. `orders` and the queues hold the same orders: an order is in the queue of its side and price,
//!    once; a level's size and count are the sums over its queue, and no level is empty.
//! 2. `room` and the slots of all books that share it add up to what it was; a book gives its slots
//!    back when it is cleared.

mod event;
mod orders;
mod side;

pub use self::event::Event;
pub use self::orders::Order;
use self::orders::{NONE, Orders};
pub use self::side::TEN;
use self::side::{Level, Side};
use crate::limits::REWIND;
use crate::wire::record::flags::{SNAPSHOT, TOB};
use crate::wire::record::{BidAskPair, UNDEF_PRICE, UNDEF_TIMESTAMP};

/// What came in that a whole and sound stream does not bring. Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// `C` and `M` of an order that the book has not. (An `M` is then taken as its `A`.) An `F` is
    /// none: it may tell of an order that never rested.
    pub unknown: u64,
    /// `A` of an order that the book has: the newer one stays.
    pub repeated: u64,
    /// Orders without side or price, and actions that DBN does not have.
    pub malformed: u64,
    /// Orders for which there was no room.
    pub refused: u64,
}

impl Faults {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.unknown + self.repeated + self.malformed + self.refused
    }

    /// These and those.
    pub fn plus(self, other: Self) -> Self {
        Self {
            unknown: self.unknown + other.unknown,
            repeated: self.repeated + other.repeated,
            malformed: self.malformed + other.malformed,
            refused: self.refused + other.refused,
        }
    }
}

/// One instrument's resting orders.
#[derive(Default)]
pub struct Book {
    orders: Orders,
    bids: Side<true>,
    asks: Side<false>,
    faults: Faults,
    /// Is a snapshot of it coming in?
    in_snapshot: bool,
    /// Index time of the newest record that was not part of a snapshot, ns.
    time: u64,
}

impl Book {
    /// Takes the next record in. `room`: orders that this and the other books that share it may
    /// grow by. True where the book began from nothing with it.
    #[inline]
    pub fn apply(&mut self, event: &Event, room: &mut usize) -> bool {
        let begun = self.begin_again(event, room);
        match event.action {
            b'A' => self.add(event, room),
            b'C' => self.cancel(event),
            b'M' => self.modify(event, room),
            b'R' => self.clear(room),
            b'T' | b'F' | b'N' => {}
            _ => self.faults.malformed += 1,
        }
        begun || event.action == b'R'
    }

    /// A snapshot replaces the book, whether it begins with `R` or not; and a recording that is
    /// played again begins from nothing.
    #[inline]
    fn begin_again(&mut self, event: &Event, room: &mut usize) -> bool {
        let snapshot = event.flags & SNAPSHOT != 0;
        let timed = !snapshot && event.ts_recv != UNDEF_TIMESTAMP;
        let rewound = timed && event.ts_recv.saturating_add(REWIND.as_nanos() as u64) < self.time;
        let begun = rewound || (snapshot && !self.in_snapshot);
        if begun {
            self.clear(room);
        }
        self.in_snapshot = snapshot;
        if timed {
            self.time = event.ts_recv;
        }
        begun
    }

    fn add(&mut self, event: &Event, room: &mut usize) {
        if event.flags & TOB != 0 {
            return self.set_side(event, room);
        }
        if let Some(slot) = self.orders.find(event.order_id) {
            self.faults.repeated += 1;
            self.remove(slot);
        }
        self.insert(event, room);
    }

    fn cancel(&mut self, event: &Event) {
        let Some(slot) = self.orders.find(event.order_id) else {
            self.faults.unknown += 1;
            return;
        };
        let order = self.orders.get(slot);
        if event.size >= order.size {
            self.remove(slot);
        } else {
            self.resize(slot, order.size - event.size);
        }
    }

    fn modify(&mut self, event: &Event, room: &mut usize) {
        let Some(slot) = self.orders.find(event.order_id) else {
            self.faults.unknown += 1;
            return self.insert(event, room);
        };
        let order = self.orders.get(slot);
        if event.price == UNDEF_PRICE || event.size == 0 {
            self.faults.malformed += 1;
        } else if event.price == order.price
            && event.size <= order.size
            && event.is_bid() == Some(order.bid)
        {
            self.resize(slot, event.size);
            self.orders.stamp(slot, event);
        } else {
            self.remove(slot);
            self.insert(event, room);
        }
    }

    /// Adds an order that the book has not at the end of its queue.
    fn insert(&mut self, event: &Event, room: &mut usize) {
        let Some(bid) = event.is_bid().filter(|_| event.price != UNDEF_PRICE && event.size > 0)
        else {
            self.faults.malformed += 1;
            return;
        };
        let Some(slot) = self.orders.insert(Order::new(event, bid), room) else {
            self.faults.refused += 1;
            return;
        };
        let level = self.level(bid, event.price);
        let last = std::mem::replace(&mut level.last, slot);
        level.size += u64::from(event.size);
        level.count += 1;
        if last == NONE {
            level.first = slot;
        } else {
            self.orders.link(last, slot);
        }
    }

    /// Takes an order out.
    fn remove(&mut self, slot: u32) {
        let order = self.orders.remove(slot);
        let level = self.level(order.bid, order.price);
        level.size -= u64::from(order.size);
        level.count -= 1;
        if level.first == slot {
            level.first = order.next;
        }
        if level.last == slot {
            level.last = order.previous;
        }
        if level.count == 0 {
            match order.bid {
                true => self.bids.remove(order.price),
                false => self.asks.remove(order.price),
            }
        }
    }

    /// Makes an order smaller; it keeps its place.
    fn resize(&mut self, slot: u32, size: u32) {
        let Order { bid, price, size: before, .. } = *self.orders.get(slot);
        self.orders.set_size(slot, size);
        let level = self.level(bid, price);
        level.size = level.size + u64::from(size) - u64::from(before);
    }

    /// The level of a price; empty where it is new.
    #[inline]
    fn level(&mut self, bid: bool, price: i64) -> &mut Level {
        match bid {
            true => self.bids.level(price),
            false => self.asks.level(price),
        }
    }

    /// Empties it, and gives back its room.
    pub fn clear(&mut self, room: &mut usize) {
        *room += self.orders.slots();
        self.orders = Orders::default();
        self.bids.clear();
        self.asks.clear();
    }

    /// The record is all there is of its side. Such orders have no ids of their own.
    fn set_side(&mut self, event: &Event, room: &mut usize) {
        let Some(bid) = event.is_bid() else {
            self.faults.malformed += 1;
            return;
        };
        for slot in self.queue(bid).collect::<Vec<_>>() {
            self.remove(slot);
        }
        if event.price != UNDEF_PRICE {
            let order_id = u64::MAX - u64::from(bid);
            self.insert(&Event { order_id, ..*event }, room);
        }
    }

    /// The best level of each side.
    pub fn top(&mut self) -> BidAskPair {
        let mut one = [side::EMPTY];
        self.bids.best(&mut one);
        self.asks.best(&mut one);
        let [top] = one;
        top
    }

    /// The ten best levels of each side.
    pub fn ten(&mut self) -> [BidAskPair; TEN] {
        let mut ten = [side::EMPTY; TEN];
        self.bids.best(&mut ten);
        self.asks.best(&mut ten);
        ten
    }

    /// May what [`Book::top`], or else [`Book::ten`], told last be another now?
    #[inline]
    pub fn is_touched(&self, ten: bool) -> bool {
        self.bids.is_touched(ten) || self.asks.is_touched(ten)
    }

    /// Orders in it.
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Is none in it?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its orders: the bids, then the asks, the best price first, each price in the order of its
    /// queue. Sent as `A` records in this order they make the same book.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.queue(true).chain(self.queue(false)).map(|slot| self.orders.get(slot))
    }

    fn queue(&self, bid: bool) -> impl Iterator<Item = u32> {
        let bids = self.bids.firsts().take(if bid { usize::MAX } else { 0 });
        let asks = self.asks.firsts().take(if bid { 0 } else { usize::MAX });
        bids.chain(asks).flat_map(|first| {
            let next = |slot: &u32| Some(self.orders.get(*slot).next).filter(|slot| *slot != NONE);
            std::iter::successors(Some(first), next)
        })
    }

    /// What came in that should not have.
    pub fn faults(&self) -> Faults {
        self.faults
    }
}

#[cfg(test)]
mod tests;
