//! Ids for instruments of feeds that only name them: 1, 2, 3 … in the order in which they turn up.

use foldhash::HashMap;

use crate::feed::source::{Records, Stamp};
use crate::limits::{INSTRUMENTS_MAX, SYMBOL_BYTES};

/// The instruments so far.
#[derive(Default)]
pub(super) struct Symbols {
    ids: HashMap<String, u32>,
}

impl Symbols {
    /// Gives `stamp` the id of a symbol; one that is new (true) is named to `out`.
    ///
    /// # Errors
    /// A symbol that no record holds, and more of them than a server knows.
    pub(super) fn id(
        &mut self,
        symbol: &str,
        stamp: &mut Stamp,
        out: &mut Records,
    ) -> Result<bool, String> {
        if let Some(&id) = self.ids.get(symbol) {
            stamp.instrument = id;
            return Ok(false);
        }
        let id = self.ids.len() as u32 + 1;
        if self.ids.len() >= INSTRUMENTS_MAX {
            return Err(format!("more than {INSTRUMENTS_MAX} instruments"));
        }
        if !(1..=SYMBOL_BYTES).contains(&symbol.len()) || symbol.chars().any(char::is_control) {
            let right = "it has 1 to 70 bytes without control characters";
            return Err(format!("symbol {symbol:.80?} names no instrument: {right}"));
        }
        self.ids.insert(symbol.to_owned(), id);
        stamp.instrument = id;
        out.push(&stamp.mapping(symbol));
        Ok(true)
    }
}
