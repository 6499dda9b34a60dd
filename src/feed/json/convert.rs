//! What the messages of exchanges become: records of DBN, sizes in lots.

use dbn::InstrumentClass;
use foldhash::HashMap;

use super::chain::{Fit, Link};
use super::event::{Event, Level, What};
use crate::feed::decimal::{Decimal, decimal};
use crate::feed::levels::Levels;
use crate::feed::lots::{Lots, whole};
use crate::feed::quotes::Quotes;
use crate::feed::source::{Lot, Records, Stamp, Tally};
use crate::feed::symbols::Symbols;
use crate::limits::ORDERS_MAX;
use crate::wire::record::{FlagSet, Side, UNDEF_PRICE};

/// Updates of a book that never came, in a tally.
pub(super) const GAPS: &str = "holes in the updates of a book";

/// What is known so far.
pub(super) struct Converter {
    symbols: Symbols,
    lots: Lots,
    quotes: Quotes,
    levels: Levels,
    links: HashMap<String, Link>,
    /// The one symbol whose book is recorded: snapshots name none.
    booked: Option<Option<String>>,
    class: InstrumentClass,
}

impl Converter {
    pub(super) fn new(lots: Lots, class: InstrumentClass) -> Self {
        Self {
            symbols: Symbols::default(),
            lots,
            quotes: Quotes::default(),
            levels: Levels::default(),
            links: HashMap::default(),
            booked: None,
            class,
        }
    }

    /// Appends what a message becomes; `stamp` gets its instrument.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn convert(
        &mut self,
        event: &Event<'_>,
        stamp: Stamp,
        out: &mut Records,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let kind = event.kind;
        if let What::Nothing(reason) = event.what {
            tally.skip(kind, reason);
            return Ok(());
        }
        let unnamed = self.booked.clone().flatten().unwrap_or_default();
        let symbol = if event.symbol.is_empty() { unnamed.as_str() } else { event.symbol };
        if symbol.is_empty() {
            tally.skip(kind, "names no symbol, and not one book alone is recorded");
            return Ok(());
        }
        let Lot::Of(lot) = self.lots.of(symbol) else {
            tally.skip(kind, "is of an instrument that is left out");
            return Ok(());
        };
        let mut of = Instrument { symbol, lot, stamp };
        self.introduce(&mut of, out)?;
        match &event.what {
            What::Quote { bid, ask } => {
                let (bid, ask) = (of.level(bid)?, of.level(ask)?);
                self.quotes.quote(bid, ask, &of.stamp, out);
            }
            What::Trade { price, size, side } => {
                let (price, size) = (price_of(price)?, whole(symbol, size, lot)?);
                self.quotes.trade(*side, price, size, &of.stamp, out);
            }
            What::Depth { levels, chain } => {
                self.note_book(symbol);
                let link = self.links.entry(symbol.to_owned()).or_default();
                match link.follow(*chain) {
                    Fit::Next => {}
                    Fit::Stale => {
                        tally.skip(kind, "is older than what has come");
                        return Ok(());
                    }
                    Fit::Gap { expected, found } => {
                        tally.find(GAPS, 1, || format!("{symbol}: {found} instead of {expected}"));
                        self.levels.clear(&of.stamp, FlagSet::empty(), out);
                    }
                }
                if !self.set(levels, FlagSet::empty(), &of, out)? {
                    tally.skip(kind, "says what the book was already");
                }
                out.end_event();
            }
            What::Snapshot { levels, last } => {
                self.links.entry(symbol.to_owned()).or_default().snapshot(*last);
                let flags = FlagSet::empty().set_snapshot();
                self.levels.clear(&of.stamp, flags, out);
                self.set(levels, flags, &of, out)?;
                out.end_event();
            }
            What::Nothing(_) => {}
        }
        Ok(())
    }

    /// Names an instrument that is new, and says what its lot is.
    fn introduce(&mut self, of: &mut Instrument<'_>, out: &mut Records) -> Result<(), String> {
        if self.symbols.id(of.symbol, &mut of.stamp, out)? {
            let (lot, symbol) = (of.lot, of.symbol);
            let wrong = || format!("lot {lot} of {symbol} has more than 9 places");
            let mut definition = of.stamp.definition(symbol);
            definition.unit_of_measure_qty = lot.price().ok_or_else(wrong)?;
            (definition.min_lot_size, definition.min_lot_size_round_lot) = (1, 1);
            definition.instrument_class = self.class as _;
            out.push(&definition);
        }
        Ok(())
    }

    /// Sets levels; false where that changes nothing.
    fn set(
        &mut self,
        levels: &[(Side, Level<'_>)],
        flags: FlagSet,
        of: &Instrument<'_>,
        out: &mut Records,
    ) -> Result<bool, String> {
        let mut changed = false;
        for (side, level) in levels {
            let (price, size) = of.level(level)?;
            let set = self.levels.set((*side, price, size), &of.stamp, flags, out);
            changed |= set.map_err(|_| format!("more than {ORDERS_MAX} price levels"))?;
        }
        Ok(changed)
    }

    /// Remembers whose book is recorded, as long as it is one alone.
    fn note_book(&mut self, symbol: &str) {
        match &mut self.booked {
            None => self.booked = Some(Some(symbol.to_owned())),
            Some(one) if one.as_deref().is_some_and(|one| one != symbol) => *one = None,
            Some(_) => {}
        }
    }
}

/// The instrument of a message.
struct Instrument<'a> {
    symbol: &'a str,
    lot: Decimal,
    stamp: Stamp,
}

impl Instrument<'_> {
    /// A level's price and size; 0 where its size is not told.
    fn level(&self, level: &Level<'_>) -> Result<(i64, u32), String> {
        let size = level.size.map_or(Ok(0), |size| whole(self.symbol, size, self.lot))?;
        Ok((price_of(level.price)?, size))
    }
}

/// A price, exactly.
fn price_of(text: &str) -> Result<i64, String> {
    let price = decimal(text.as_bytes()).and_then(Decimal::price);
    price.filter(|price| (0..UNDEF_PRICE).contains(price)).ok_or_else(|| {
        format!("price {text:?} is no decimal from 0 to 9223372036 with at most 9 places")
    })
}
