//! Price levels as orders: what feeds that say the size of a level, not who is in it, become in
//! `mbo` (DBN marks such records with its flag MBP).
//!
//! Each level is one order, whose id is made of its side and its price.

use foldhash::HashMap;

use crate::feed::source::{Records, Stamp};
use crate::limits::ORDERS_MAX;
use crate::wire::record::{Action, FlagSet, Side, UNDEF_PRICE};

/// The sizes of all levels that there are.
#[derive(Default)]
pub(super) struct Levels {
    /// By instrument and order id.
    sizes: HashMap<u32, HashMap<u64, u32>>,
    count: usize,
}

/// There are more levels than any feed has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// The id of a level: its price in 1e-9 (never negative where this is used, so that the upper bit
/// is free), and the side in the upper bit.
fn id_of(side: Side, price: i64) -> u64 {
    let side = if side == Side::Ask { 1 << 63 } else { 0 };
    side | (price.unsigned_abs() & !(1 << 63))
}

impl Levels {
    /// A level has this size now, 0: it is gone. Appends what that is to the book, an order that is
    /// added, changed or cancelled; false where it changes nothing.
    pub(super) fn set(
        &mut self,
        (side, price, size): (Side, i64, u32),
        stamp: &Stamp,
        flags: FlagSet,
        out: &mut Records,
    ) -> Result<bool, TooMany> {
        let id = id_of(side, price);
        let sizes = self.sizes.entry(stamp.instrument).or_default();
        let before = if size == 0 { sizes.remove(&id) } else { sizes.insert(id, size) };
        let (action, shown) = match (before, size) {
            (None, 0) => return Ok(false),
            (Some(before), 0) => {
                self.count -= 1;
                (Action::Cancel, before)
            }
            (None, _) => {
                self.count += 1;
                (Action::Add, size)
            }
            (Some(before), _) if before == size => return Ok(false),
            (Some(_), _) => (Action::Modify, size),
        };
        if self.count > ORDERS_MAX {
            return Err(TooMany);
        }
        let mut record = stamp.mbo(action, side, id, price, shown);
        let mut flags = flags;
        record.flags = flags.set_mbp();
        out.push(&record);
        Ok(true)
    }

    /// All levels of an instrument are gone, or not known any more.
    pub(super) fn clear(&mut self, stamp: &Stamp, flags: FlagSet, out: &mut Records) {
        let gone = self.sizes.remove(&stamp.instrument);
        self.count -= gone.map_or(0, |sizes| sizes.len());
        let mut record = stamp.mbo(Action::Clear, Side::None, 0, UNDEF_PRICE, 0);
        let mut flags = flags;
        record.flags = flags.set_mbp();
        out.push(&record);
    }
}
