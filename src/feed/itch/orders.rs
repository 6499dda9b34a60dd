//! The orders that rest: what later messages, which name them by their reference alone, are about.

use foldhash::HashMap;

use crate::limits::ORDERS_MAX;

/// An order that rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Its instrument.
    pub(crate) instrument: u32,
    /// In the format's own units.
    pub(crate) price: u32,
    /// What is left of it.
    pub(crate) size: u32,
    /// `B` or `A`, as DBN says it.
    pub(crate) side: u8,
}

/// Orders by reference.
#[derive(Default)]
pub(crate) struct Orders {
    all: HashMap<u64, Order>,
}

/// More rest than any market has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Orders {
    /// Adds an order; the one of the same reference that rested before, if any.
    pub(crate) fn add(&mut self, id: u64, order: Order) -> Result<Option<Order>, TooMany> {
        if self.all.len() >= ORDERS_MAX && !self.all.contains_key(&id) {
            return Err(TooMany);
        }
        Ok(self.all.insert(id, order))
    }

    /// Takes `size` off an order, which goes when nothing is left: as it was before, and how much
    /// was taken (never more than it had).
    pub(crate) fn reduce(&mut self, id: u64, size: u32) -> Option<(Order, u32)> {
        let order = self.all.get_mut(&id)?;
        let (before, taken) = (*order, size.min(order.size));
        order.size -= taken;
        if order.size == 0 {
            self.all.remove(&id);
        }
        Some((before, taken))
    }

    /// Removes an order.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Order> {
        self.all.remove(&id)
    }
}
