//! The books of the instruments whose orders (`mbo`) are in the stream, and the past that a
//! snapshot in progress still needs of them.
//!
//! A snapshot of `mbo` is the book as of one position S. It is sent from a copy of the orders,
//! which is made when the snapshot comes to the instrument; where the book is about to change
//! before that, it is made then, once for all snapshots of the same position. So the memory that
//! snapshots take is that of the books that change under them.
//!
//! After records were lost no book is known until it begins from nothing again.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::FixedState;

use crate::book::{Book, Event, Order};
use crate::limits::BOOK_ORDERS_MAX;
use crate::shard::catalog::Index;
use crate::wire::record::{
    Action, FlagSet, MboMsg, Side, UNDEF_PRICE, flags, header, instrument_id, rtype,
};

/// A book, and up to where it is.
struct Kept {
    book: Book,
    instrument: u32,
    /// The newest record that it holds.
    last: Event,
    /// Its position in the ring.
    seq: u64,
    /// Does it hold all that came since it was empty?
    known: bool,
}

impl Kept {
    fn copy(&self) -> Option<Resting> {
        let orders = || self.book.orders().copied().collect();
        self.known.then(|| Resting {
            instrument: self.instrument,
            last: self.last,
            orders: orders(),
        })
    }
}

/// The orders of a book at one position.
struct Resting {
    instrument: u32,
    last: Event,
    orders: Box<[Order]>,
}

struct Image {
    seq: u64,
    users: u32,
    /// None: the book was not known at that position.
    aside: HashMap<Index, Option<Rc<Resting>>, FixedState>,
}

/// The books of a shard.
pub(super) struct Books {
    books: Vec<Option<Box<Kept>>>,
    /// Orders that they may grow by.
    room: usize,
    images: Vec<Image>,
    /// Were records lost?
    lost: bool,
}

impl Default for Books {
    fn default() -> Self {
        Self { books: Vec::new(), room: BOOK_ORDERS_MAX, images: Vec::new(), lost: false }
    }
}

impl Books {
    /// Takes the `mbo` record in that is at `seq` of the ring.
    #[inline]
    pub(super) fn apply(&mut self, index: Index, seq: u64, record: &[u8]) {
        let Self { books, room, images, lost } = self;
        if books.len() <= index as usize {
            books.resize_with(index as usize + 1, || None);
        }
        let event = Event::of(record);
        let kept = books[index as usize].get_or_insert_with(|| {
            let (instrument, known) = (instrument_id(record), !*lost);
            Box::new(Kept { book: Book::default(), instrument, last: event, seq: 0, known })
        });
        set_aside(images, index, kept);
        kept.known |= kept.book.apply(&event, room);
        (kept.last, kept.seq) = (event, seq);
    }

    /// Keeps the books as of `seq`, the last position of the shard, until [`Books::close`].
    pub(super) fn open(&mut self, seq: u64) {
        match self.images.iter_mut().find(|image| image.seq == seq) {
            Some(image) => image.users += 1,
            None => self.images.push(Image { seq, users: 1, aside: HashMap::default() }),
        }
    }

    /// Ends one use of the image of `seq`.
    pub(super) fn close(&mut self, seq: u64) {
        if let Some(at) = self.images.iter().position(|image| image.seq == seq) {
            self.images[at].users -= 1;
            if self.images[at].users == 0 {
                self.images.swap_remove(at);
            }
        }
    }

    /// The snapshot of a book as of `seq`, which is the present or an open image; of an instrument
    /// without orders so far, or whose book is not known, nothing.
    pub(super) fn snapshot(&self, index: Index, seq: u64) -> Sending {
        let image = self.images.iter().find(|image| image.seq == seq);
        let aside = image.and_then(|image| image.aside.get(&index));
        let resting = match aside {
            Some(resting) => resting.clone(),
            None => {
                let kept = self.books.get(index as usize).and_then(Option::as_ref);
                let kept = kept.filter(|kept| kept.seq > 0 && kept.seq <= seq);
                kept.and_then(|kept| kept.copy()).map(Rc::new)
            }
        };
        Sending { resting, sent: 0 }
    }

    /// Is it unknown what rests, because records were lost?
    pub(super) fn is_unknown(&self, index: Index) -> bool {
        match self.books.get(index as usize).and_then(Option::as_ref) {
            Some(kept) => !kept.known,
            None => self.lost && !self.books.is_empty(),
        }
    }

    /// Records were lost: no book is known. Open images keep what they stand for.
    pub(super) fn invalidate(&mut self) {
        self.lost = true;
        for (index, kept) in self.books.iter_mut().enumerate() {
            let Some(kept) = kept else { continue };
            set_aside(&mut self.images, index as Index, kept);
            kept.book.clear(&mut self.room);
            kept.known = false;
        }
    }
}

/// Copies a book that is about to change for the snapshots that have not come to it.
#[inline]
fn set_aside(images: &mut [Image], index: Index, kept: &Kept) {
    let before = |image: &&mut Image| kept.seq > 0 && kept.seq <= image.seq;
    let missing = |image: &&mut Image| !image.aside.contains_key(&index);
    let mut copy = None;
    for image in images.iter_mut().filter(before).filter(missing) {
        let copy = copy.get_or_insert_with(|| kept.copy().map(Rc::new));
        image.aside.insert(index, copy.clone());
    }
}

/// A book on its way to a client.
pub(super) struct Sending {
    resting: Option<Rc<Resting>>,
    /// Records sent, the clear among them.
    sent: usize,
}

impl Sending {
    /// No book.
    pub(super) fn nothing() -> Self {
        Self { resting: None, sent: 0 }
    }

    /// Has all of it been sent?
    pub(super) fn is_done(&self) -> bool {
        self.resting.as_ref().is_none_or(|resting| self.sent > resting.orders.len())
    }

    /// The next record: first the clear, then the orders, the last one with LAST.
    pub(super) fn next_record(&mut self) -> Option<MboMsg> {
        let resting = self.resting.as_ref()?;
        let flags = match resting.orders.len() == self.sent {
            true => flags::SNAPSHOT | flags::LAST,
            false => flags::SNAPSHOT,
        };
        let record = match self.sent.checked_sub(1) {
            None => clear(resting, flags),
            Some(at) => resting.orders.get(at)?.record(resting.instrument, flags),
        };
        self.sent += 1;
        Some(record)
    }
}

/// The record that empties a client's book, before the orders come.
fn clear(resting: &Resting, flags: u8) -> MboMsg {
    let Event { publisher, ts_event, ts_recv, sequence, channel, .. } = resting.last;
    MboMsg {
        hd: header::<MboMsg>(rtype::MBO, publisher, resting.instrument, ts_event),
        order_id: 0,
        price: UNDEF_PRICE,
        size: 0,
        flags: FlagSet::new(flags),
        channel_id: channel,
        action: Action::Clear as std::ffi::c_char,
        side: Side::None as std::ffi::c_char,
        ts_recv,
        ts_in_delta: 0,
        sequence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::bytes_of;

    fn order(action: u8, id: u64) -> Vec<u8> {
        let hd = header::<MboMsg>(rtype::MBO, 9, 5, id);
        let (action, side) = (action as i8, b'B' as i8);
        let order =
            MboMsg { hd, order_id: id, action, side, price: 100, size: 1, ..<_>::default() };
        bytes_of(&order).to_vec()
    }

    /// Action, order and flags of a snapshot's records.
    fn sent(books: &Books, seq: u64) -> Vec<(u8, u64, u8)> {
        let mut sending = books.snapshot(0, seq);
        let next = std::iter::from_fn(|| sending.next_record());
        next.map(|r| (r.action as u8, r.order_id, r.flags.raw())).collect()
    }

    const SNAP: u8 = flags::SNAPSHOT;
    const END: u8 = flags::SNAPSHOT | flags::LAST;

    #[test]
    fn a_snapshot_stands_for_its_position() {
        let mut books = Books::default();
        assert_eq!(sent(&books, 0), []);
        books.open(0);
        books.apply(0, 1, &order(b'A', 11));
        books.apply(0, 2, &order(b'A', 12));
        books.open(2);
        books.open(2);
        books.apply(0, 3, &order(b'C', 11));
        books.open(3);
        books.apply(0, 4, &order(b'R', 0));
        let two = [(b'R', 0, SNAP), (b'A', 11, SNAP), (b'A', 12, END)];
        assert_eq!(sent(&books, 0), []);
        assert_eq!(sent(&books, 2), two);
        assert_eq!(sent(&books, 3), [(b'R', 0, SNAP), (b'A', 12, END)]);
        assert_eq!(sent(&books, 4), [(b'R', 0, END)], "an empty book is known to be empty");
        books.close(2);
        assert_eq!(sent(&books, 2), two);
        [0, 2, 3].into_iter().for_each(|seq| books.close(seq));
        assert_eq!(books.images.len(), 0);
    }

    #[test]
    fn after_a_loss_a_book_is_unknown_until_it_begins_again() {
        let mut books = Books::default();
        books.apply(0, 1, &order(b'A', 11));
        assert!(!books.is_unknown(0) && !books.is_unknown(1));
        books.open(1);
        books.invalidate();
        assert_eq!(sent(&books, 1).len(), 2, "an image keeps what it stands for");
        books.apply(0, 9, &order(b'A', 12));
        assert!(books.is_unknown(0) && books.is_unknown(1));
        assert_eq!(sent(&books, 9), []);
        books.apply(0, 10, &order(b'R', 0));
        books.apply(0, 11, &order(b'A', 13));
        assert_eq!(sent(&books, 11), [(b'R', 0, SNAP), (b'A', 13, END)]);
        books.apply(1, 12, &order(b'A', 14));
        assert!(!books.is_unknown(0) && books.is_unknown(1));
    }
}
