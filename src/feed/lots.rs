//! What one unit of size is: exchanges write decimals, records hold whole numbers.

use foldhash::HashMap;

use crate::feed::decimal::{Decimal, decimal};
use crate::feed::source::{How, Lot};
use crate::limits::INSTRUMENTS_MAX;

/// The lots of a recording's instruments: as given, else the finest decimal place that the
/// recording has.
#[derive(Default)]
pub(super) struct Lots {
    given: HashMap<String, Lot>,
    /// Places after the point, by symbol.
    places: HashMap<String, u32>,
    /// The same of messages that name no symbol.
    unnamed: u32,
}

impl Lots {
    /// As given, before the recording was looked through.
    pub(super) fn new(how: &How) -> Self {
        Self { given: how.lots.iter().cloned().collect(), ..Self::default() }
    }

    /// Takes in a size of the recording.
    pub(super) fn measure(&mut self, symbol: &str, size: &str) {
        let places = decimal(size.as_bytes()).map_or(0, |size| size.places);
        if symbol.is_empty() {
            self.unnamed = self.unnamed.max(places);
        } else if let Some(finest) = self.places.get_mut(symbol) {
            *finest = (*finest).max(places);
        } else if self.places.len() < INSTRUMENTS_MAX {
            self.places.insert(symbol.to_owned(), places);
        }
    }

    /// The lot of a symbol.
    pub(super) fn of(&self, symbol: &str) -> Lot {
        let measured = || {
            let places = self.places.get(symbol).copied().unwrap_or_default();
            Lot::Of(Decimal { units: 1, places: places.max(self.unnamed) })
        };
        self.given.get(symbol).copied().unwrap_or_else(measured)
    }
}

/// A size as whole lots.
///
/// # Errors
/// What is wrong, and what would help.
pub(super) fn whole(symbol: &str, size: &str, lot: Decimal) -> Result<u32, String> {
    let parsed = decimal(size.as_bytes()).ok_or_else(|| format!("size {size:?} is no decimal"))?;
    parsed.lots(lot).ok_or_else(|| {
        format!(
            "size {size} of {symbol} is no whole number of lots of {lot} below 4294967295; give \
             another one with --lot {symbol}=SIZE, or leave it out with --lot {symbol}=skip"
        )
    })
}
