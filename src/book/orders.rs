//! Orders by id, in slots that are used again: an order's place in its queue is links to slots.

use foldhash::HashMap;

use super::Event;
use crate::wire::record::{Action, FlagSet, MboMsg, Side, header, rtype};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// A resting order.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Its id.
    pub id: u64,
    /// 1e-9 units.
    pub price: i64,
    /// When it was added or last changed by its owner, ns.
    pub ts_event: u64,
    ts_recv: u64,
    /// What is left of it.
    pub size: u32,
    sequence: u32,
    /// The slots before and behind it in its queue; `next` of a free slot is the next free one.
    pub(super) previous: u32,
    pub(super) next: u32,
    publisher: u16,
    channel: u8,
    /// Is it a bid?
    pub bid: bool,
}

impl Order {
    #[inline]
    pub(super) fn new(event: &Event, bid: bool) -> Self {
        Self {
            id: event.order_id,
            price: event.price,
            ts_event: event.ts_event,
            ts_recv: event.ts_recv,
            size: event.size,
            sequence: event.sequence,
            previous: NONE,
            next: NONE,
            publisher: event.publisher,
            channel: event.channel,
            bid,
        }
    }

    /// It as a record of `instrument` that adds it, with these flags.
    pub fn record(&self, instrument: u32, flags: u8) -> MboMsg {
        let side = if self.bid { Side::Bid } else { Side::Ask };
        MboMsg {
            hd: header::<MboMsg>(rtype::MBO, self.publisher, instrument, self.ts_event),
            order_id: self.id,
            price: self.price,
            size: self.size,
            flags: FlagSet::new(flags),
            channel_id: self.channel,
            action: Action::Add as std::ffi::c_char,
            side: side as std::ffi::c_char,
            ts_recv: self.ts_recv,
            ts_in_delta: 0,
            sequence: self.sequence,
        }
    }
}

/// Invariant: `slots` by id tells for each order its slot; all other slots are in the list of free
/// ones.
pub(super) struct Orders {
    by_id: HashMap<u64, u32>,
    slots: Vec<Order>,
    free: u32,
}

impl Default for Orders {
    fn default() -> Self {
        Self { by_id: HashMap::default(), slots: Vec::new(), free: NONE }
    }
}

impl Orders {
    #[inline]
    pub(super) fn find(&self, id: u64) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> &Order {
        &self.slots[slot as usize]
    }

    /// Takes in an order whose id is new; none where it needs a slot more and there is no `room`.
    #[inline]
    pub(super) fn insert(&mut self, order: Order, room: &mut usize) -> Option<u32> {
        let slot = match self.free {
            NONE => {
                *room = room.checked_sub(1)?;
                self.slots.push(order);
                self.slots.len() as u32 - 1
            }
            slot => {
                self.free = self.slots[slot as usize].next;
                self.slots[slot as usize] = order;
                slot
            }
        };
        self.by_id.insert(order.id, slot);
        Some(slot)
    }

    /// Puts an order behind another one.
    #[inline]
    pub(super) fn link(&mut self, before: u32, slot: u32) {
        self.slots[before as usize].next = slot;
        self.slots[slot as usize].previous = before;
    }

    /// Takes an order out, and closes the gap that it leaves.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) -> Order {
        let order = self.slots[slot as usize];
        if order.previous != NONE {
            self.slots[order.previous as usize].next = order.next;
        }
        if order.next != NONE {
            self.slots[order.next as usize].previous = order.previous;
        }
        self.by_id.remove(&order.id);
        self.slots[slot as usize].next = self.free;
        self.free = slot;
        order
    }

    #[inline]
    pub(super) fn set_size(&mut self, slot: u32, size: u32) {
        self.slots[slot as usize].size = size;
    }

    /// An order was last changed by this.
    #[inline]
    pub(super) fn stamp(&mut self, slot: u32, event: &Event) {
        let order = &mut self.slots[slot as usize];
        (order.ts_event, order.ts_recv) = (event.ts_event, event.ts_recv);
        order.sequence = event.sequence;
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Slots, those that are free included.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }
}
