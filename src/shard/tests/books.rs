//! Snapshots of `mbo`: the book as of one position, however slowly it is taken and whatever changes
//! meanwhile, then all that came after it.

use super::received::{Item, items};
use super::world::{Peer, World};
use crate::book::{Book, Event};
use crate::wire::batch::{self, BatchHeader};
use crate::wire::encoding::Encoding;
use crate::wire::frame::{Opcode, frames};
use crate::wire::record::{self, MboMsg, bytes_of, flags, header, rtype};

const ROOM: usize = 1 << 20;

fn order(instrument: u32, action: u8, id: u64) -> Vec<u8> {
    let hd = header::<MboMsg>(rtype::MBO, 9, instrument, id);
    let (side, action) = (if id.is_multiple_of(2) { b'B' } else { b'A' } as i8, action as i8);
    let price = if id.is_multiple_of(2) { 1_000 - id as i64 % 50 } else { 1_001 + id as i64 % 50 };
    let (order_id, size, flags) = (id, 1, record::FlagSet::new(flags::LAST));
    bytes_of(&MboMsg { hd, order_id, price, size, flags, side, action, ..<_>::default() }).to_vec()
}

/// What a client was sent of `mbo`: the flags of the batch, its cursor, the records.
fn batches(peer: &Peer) -> Vec<(u8, u64, Vec<Vec<u8>>)> {
    let taken = &peer.outbox.borrow().taken;
    let binary = frames(taken).filter(|frame| frame.opcode == Opcode::Binary);
    let batch = binary.map(|frame| {
        let (head, mut rest) = BatchHeader::decode(&taken[frame.payload..frame.end]).unwrap();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let (record, after) = rest.split_at(record::length(rest));
            if record::rtype_of(record) == rtype::MBO {
                records.push(record.to_vec());
            }
            rest = after;
        }
        (head.flags, head.seq.get(), records)
    });
    batch.collect()
}

/// The orders that these records leave, in the order of the book.
fn book<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<(u64, i64, u32)> {
    let (mut book, mut room) = (Book::default(), ROOM);
    for record in records {
        // Flags tell how a record came, and are none of the book's business here.
        book.apply(&Event { flags: 0, ..Event::of(record) }, &mut room);
    }
    assert_eq!(book.faults().total(), 0);
    book.orders().map(|order| (order.id, order.price, order.size)).collect()
}

#[test]
fn a_book_is_sent_in_pieces_while_it_changes() {
    let mut world = World::new();
    let peer = world.attach(Encoding::Dbn);
    let mut published: Vec<Vec<u8>> = (0..6_000).map(|id| order(1, b'A', id)).collect();
    for part in published.chunks(500) {
        world.publish(part);
        world.turn();
    }
    peer.outbox.borrow_mut().open = false;
    let ask = r#"{"id":1,"method":"subscribe","params":{"schema":"mbo","symbols":["AA","AB"]}}"#;
    assert!(world.request(&peer, ask));
    for id in 0..3_000 {
        let change = [order(1, b'C', id), order(2, b'A', 10_000 + id), order(1, b'A', 20_000 + id)];
        world.publish(&change);
        published.extend(change);
        if id % 10 == 0 {
            peer.outbox.borrow_mut().gulps.push_back(20_000);
            world.writable(&peer);
        }
        world.turn();
    }
    peer.outbox.borrow_mut().open = true;
    for _ in 0..1_000 {
        world.writable(&peer);
        world.turn();
    }
    let of =
        |id| published.iter().map(Vec::as_slice).filter(move |r| record::instrument_id(r) == id);
    let batches = batches(&peer);
    let is_snapshot = |flags: u8| flags & batch::SNAPSHOT != 0;
    let snapshot = batches.iter().filter(|batch| is_snapshot(batch.0));
    assert!(snapshot.clone().all(|batch| batch.1 == 6_000), "it stands for one position");
    let snapshot: Vec<&[u8]> = snapshot.flat_map(|batch| &batch.2).map(Vec::as_slice).collect();
    assert_eq!(snapshot.len(), 6_001, "a clear and the orders, of the one book there was");
    let event = |at: usize| Event::of(snapshot[at]);
    assert_eq!((event(0).action, event(0).flags), (b'R', flags::SNAPSHOT));
    assert_eq!(event(6_000).flags, flags::SNAPSHOT | flags::LAST);
    assert!((1..6_000).all(|at| event(at).flags == flags::SNAPSHOT && event(at).action == b'A'));
    assert_eq!(book(snapshot.iter().copied()), book(of(1).take(6_000)));
    let live = batches.iter().filter(|batch| !is_snapshot(batch.0));
    let live: Vec<&[u8]> = live.flat_map(|batch| &batch.2).map(|r| &r[..r.len() - 8]).collect();
    let after: Vec<&[u8]> = published[6_000..].iter().map(Vec::as_slice).collect();
    let bare = |record: &[u8]| record[1..].to_vec();
    assert_eq!(live.len(), after.len());
    assert!(live.iter().zip(&after).all(|(live, after)| bare(live) == bare(after)));
    let all: Vec<&[u8]> = snapshot.into_iter().chain(live).collect();
    let ours = all.iter().copied().filter(|r| record::instrument_id(r) == 1);
    assert_eq!(book(ours), book(of(1)));
    assert_eq!(world.shard.cache.images(), 0);
}

#[test]
fn json_says_the_same() {
    let mut world = World::new();
    let peer = world.attach(Encoding::Json);
    world.publish(&[order(1, b'A', 4), order(1, b'A', 6), order(1, b'C', 4)]);
    world.turn();
    let ask = r#"{"id":1,"method":"subscribe","params":{"schema":"mbo","symbols":"*"}}"#;
    assert!(world.request(&peer, ask));
    world.turn();
    let taken = peer.outbox.borrow().taken.clone();
    let items = items(&taken, true);
    let data = items.iter().find_map(|item| match item {
        Item::Data { flags, records, seq } => Some((*flags, records.len(), *seq)),
        _ => None,
    });
    assert_eq!(data, Some((batch::SNAPSHOT, 2, 3)));
    let text = String::from_utf8_lossy(&taken);
    let (clear, add) = (text.find(r#""action":"R""#), text.find(r#""action":"A""#));
    assert!(clear.is_some() && clear < add, "{text}");
}
