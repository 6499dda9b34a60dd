//! Derivations, and the workshop where they are made, on tapes of orders.

use std::sync::Arc;
use std::sync::mpsc::channel;

use super::*;
use crate::limits::DERIVATIONS_MAX;
use crate::tape::Transcript;
use crate::tape::derivation::Derivation;
use crate::tape::desk::Found;
use crate::tape::workshop::{Plan, Workshop};
use crate::wire::instrument::bit;
use crate::wire::record::{MboMsg, Schema, flags, index_ts};

/// A tape of orders, all of which rest: each a new best bid, one a microsecond.
fn tape(folder: &Path, orders: u64) {
    let mut tape = Transcript::create(folder, EPOCH).unwrap();
    tape.introduce(&[instrument(1, "A")]).unwrap();
    for n in 1..=orders {
        let hd = header::<MboMsg>(rtype::MBO, 1, 1, 1_000 * n);
        let mut order = MboMsg { hd, order_id: n, price: n as i64, size: 1, ..MboMsg::default() };
        (order.ts_recv, order.action, order.side) = (1_000 * n, b'A' as _, b'B' as _);
        order.flags = dbn::FlagSet::new(flags::LAST);
        tape.push(bytes_of(&order), n).unwrap();
    }
    tape.finish().unwrap();
}

fn plan(folder: &Path, last_seq: u64) -> Arc<Plan> {
    Arc::new(Plan {
        tape: Arc::new(folder.to_owned()),
        last_seq,
        derived: bit(Schema::Mbp1),
        wanted: bit(Schema::Mbp1),
        end: u64::MAX,
        chosen: Box::new(|_| true),
    })
}

/// The index times of what comes until it is over.
fn times(plan: &Arc<Plan>, mut from: Option<u64>, workshop: &Workshop) -> Vec<u64> {
    let mut times = Vec::new();
    loop {
        let (sender, replies) = channel();
        let reply = Box::new(move |found| sender.send(found).unwrap());
        workshop.ask(plan, from.take(), reply).unwrap();
        let Ok(Found::Derived { records, over }) = replies.recv() else { panic!("it failed") };
        times.extend(crate::wire::record::each(&records).map(index_ts));
        if over {
            return times;
        }
    }
}

#[test]
fn books_grow_within_the_room_that_they_are_given() {
    let folder = tempfile::tempdir().unwrap();
    tape(folder.path(), 500);
    let plan = plan(folder.path(), 500);
    let mut derivation = Derivation::begin(&plan).unwrap();
    derivation.advance(&plan, 0, 1_000).unwrap();
    assert!(derivation.is_over());
    assert_eq!((derivation.orders(), derivation.faults().total()), (500, 0));
    let mut derivation = Derivation::begin(&plan).unwrap();
    derivation.advance(&plan, 0, 300).unwrap();
    assert_eq!((derivation.orders(), derivation.faults().refused), (300, 200));
}

#[test]
fn from_any_time_forth_and_back_comes_what_is_from_there_on() {
    let folder = tempfile::tempdir().unwrap();
    // More than is gone through, and more than is handed out, in one go.
    let orders = 70_000;
    tape(folder.path(), orders);
    let workshop = Workshop::start().unwrap();
    let plan = plan(folder.path(), orders - 7);
    for from in [0, 60_000, 68_000, 5, 69_992, 40_000] {
        let right = (from.max(1)..=orders - 7).map(|n| 1_000 * n);
        assert!(right.eq(times(&plan, Some(1_000 * from), &workshop)), "from {from}");
    }
}

#[test]
fn who_asks_anew_is_answered_and_who_is_gone_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    tape(folder.path(), 70_000);
    let workshop = Workshop::start().unwrap();
    let mut plans: Vec<_> = (0..DERIVATIONS_MAX).map(|_| plan(folder.path(), 70_000)).collect();
    for plan in &plans {
        // Nobody waits for this one any more once the next is asked.
        workshop.ask(plan, Some(69_000_000), Box::new(drop)).unwrap();
    }
    let kept = plans.pop().unwrap();
    let gone: Vec<_> = plans.iter().map(Arc::downgrade).collect();
    drop(plans);
    assert_eq!(times(&kept, Some(69_999_000), &workshop), [69_999_000, 70_000_000]);
    assert!(gone.iter().all(|plan| plan.strong_count() == 0));
}

#[test]
fn there_are_so_many_seats_and_one_that_is_left_is_free() {
    let workshop = Workshop::start().unwrap();
    let mut seats: Vec<_> = (0..DERIVATIONS_MAX).map(|_| workshop.seat().unwrap()).collect();
    assert!(workshop.seat().is_none());
    seats.pop();
    assert!(workshop.seat().is_some());
}
