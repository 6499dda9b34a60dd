//! What a book needs of an `mbo` record, read off its bytes.

use std::mem::offset_of;

use crate::wire::record::{MboMsg, publisher_id, ts_event, u32_at, u64_at};

/// A change of one order, as an `mbo` record tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, ns.
    pub ts_event: u64,
    /// When it was received, ns.
    pub ts_recv: u64,
    /// Its order.
    pub order_id: u64,
    /// 1e-9 units.
    pub price: i64,
    /// Of the order; of a cancel: how much of it.
    pub size: u32,
    /// The venue's number.
    pub sequence: u32,
    /// The venue.
    pub publisher: u16,
    /// The venue's channel.
    pub channel: u8,
    /// DBN's flags.
    pub flags: u8,
    /// DBN's action.
    pub action: u8,
    /// `B`, `A` or `N`.
    pub side: u8,
}

impl Event {
    /// Of a bare or published `mbo` record.
    ///
    /// # Panics
    /// Where it is shorter than one: who brings records has checked their lengths.
    #[inline]
    pub fn of(record: &[u8]) -> Self {
        Self {
            ts_event: ts_event(record),
            ts_recv: u64_at(record, offset_of!(MboMsg, ts_recv)),
            order_id: u64_at(record, offset_of!(MboMsg, order_id)),
            price: u64_at(record, offset_of!(MboMsg, price)) as i64,
            size: u32_at(record, offset_of!(MboMsg, size)),
            sequence: u32_at(record, offset_of!(MboMsg, sequence)),
            publisher: publisher_id(record),
            channel: record[offset_of!(MboMsg, channel_id)],
            flags: record[offset_of!(MboMsg, flags)],
            action: record[offset_of!(MboMsg, action)],
            side: record[offset_of!(MboMsg, side)],
        }
    }

    /// Is its side the bids'? None where it has none.
    #[inline]
    pub(super) fn is_bid(&self) -> Option<bool> {
        match self.side {
            b'B' => Some(true),
            b'A' => Some(false),
            _ => None,
        }
    }
}
