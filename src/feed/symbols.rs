//! Ids for instruments of feeds that only name them: 1, 2, 3 … in the order in which they turn up.

use foldhash::HashMap;

use crate::feed::source::{Records, Stamp};
use crate::limits::INSTRUMENTS_MAX;
use crate::wire::record::mapping;

/// The instruments so far.
#[derive(Default)]
pub(super) struct Symbols {
    ids: HashMap<String, u32>,
}

/// More instruments than a server knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Symbols {
    /// The id of a symbol; where it is new (true), `stamp` gets its id and it is named to `out`.
    pub(super) fn id(
        &mut self,
        symbol: &str,
        stamp: &mut Stamp,
        out: &mut Records,
    ) -> Result<bool, TooMany> {
        if let Some(&id) = self.ids.get(symbol) {
            stamp.instrument = id;
            return Ok(false);
        }
        let id = self.ids.len() as u32 + 1;
        if self.ids.len() >= INSTRUMENTS_MAX {
            return Err(TooMany);
        }
        self.ids.insert(symbol.to_owned(), id);
        stamp.instrument = id;
        out.push(&mapping(stamp.publisher, id, symbol, stamp.ts_event));
        Ok(true)
    }
}
