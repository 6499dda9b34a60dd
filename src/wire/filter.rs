//! Which records are asked for: by time, schema and symbol.

use std::collections::{HashMap, HashSet};

use super::when::When;
use crate::clock::UnixNanos;
use crate::wire::file::Contents;
use crate::wire::instrument::{Instrument, bit, bits};
use crate::wire::record::{Schema, index_ts, instrument_id};
use crate::wire::symbols::Pattern;

/// What is asked for; all of it has to hold.
pub struct Filter {
    /// Only records from this time on.
    pub from: Option<UnixNanos>,
    /// Only records before this time.
    pub to: Option<UnixNanos>,
    /// Bits of schemas; none: all.
    schemas: Option<u32>,
    /// None: all.
    patterns: Vec<Pattern>,
    /// The patterns as they were written.
    symbols: Vec<String>,
    /// What was said of ids before.
    ids: HashMap<u32, bool, foldhash::fast::FixedState>,
}

impl Filter {
    /// Of records from a time on, before another, of these schemas and symbols; none: all.
    ///
    /// # Errors
    /// Where it lets nothing through.
    pub fn new(
        from: Option<When>,
        to: Option<When>,
        schemas: &[Schema],
        symbols: &[String],
    ) -> Result<Self, String> {
        let (from, to) = (from.map(|when| when.0), to.map(|when| when.0));
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err("the end is not after the start: nothing lies between".to_owned());
        }
        let mask = schemas.iter().fold(0, |mask, schema| mask | bit(*schema));
        Ok(Self {
            from,
            to,
            schemas: (!schemas.is_empty()).then_some(mask),
            patterns: symbols.iter().map(Pattern::new).collect(),
            symbols: symbols.to_vec(),
            ids: HashMap::default(),
        })
    }

    /// What it leaves of these contents, as far as that can be known. The instruments that it lets
    /// through stand for their symbols on all days, where the contents have no days of them.
    pub fn narrow(&self, known: &Contents, instruments: &[Instrument]) -> Contents {
        let mut contents = Contents { schema: self.schema().or(known.schema), ..known.clone() };
        contents.spans.retain(|span| self.has_symbol(&span.symbol));
        contents.symbols = self.always(&contents, instruments);
        if contents.start > 0 {
            contents.start = contents.start.max(self.from.unwrap_or(0));
        }
        if contents.end > 0 {
            contents.end = contents.end.min(self.to.unwrap_or(u64::MAX));
        }
        contents
    }

    /// The instruments that it lets through and that stand for their symbols on all days.
    pub fn always(&self, contents: &Contents, instruments: &[Instrument]) -> Vec<(String, u32)> {
        let on_days: HashSet<u32, foldhash::fast::FixedState> =
            contents.spans.iter().map(|span| span.id).collect();
        let always = instruments.iter().filter(|known| !on_days.contains(&known.id));
        let asked = always.filter(|known| self.has_symbol(&known.symbol));
        asked.map(|known| (known.symbol.clone(), known.id)).collect()
    }

    /// What is asked for, symbols and patterns, that none of these has.
    pub fn unmet(&self, contents: &Contents, instruments: &[Instrument]) -> Vec<String> {
        let on_days = contents.spans.iter().map(|span| &span.symbol);
        let known = on_days.chain(instruments.iter().map(|known| &known.symbol));
        let known: HashSet<&String, foldhash::fast::FixedState> = known.collect();
        let asked = self.symbols.iter().zip(&self.patterns);
        let unmet = asked.filter(|(_, pattern)| !known.iter().any(|known| pattern.matches(known)));
        unmet.map(|(symbol, _)| symbol.clone()).collect()
    }

    /// Lets only this schema through.
    pub fn only(&mut self, schema: Schema) {
        self.schemas = Some(bit(schema));
    }

    /// The one schema that it lets through, where it is one.
    pub fn schema(&self) -> Option<Schema> {
        let mask = self.schemas.filter(|mask| mask.is_power_of_two())?;
        Schema::try_from(mask.trailing_zeros() as u16).ok()
    }

    /// The schemas that it lets through.
    pub fn schemas(&self) -> u32 {
        self.schemas.unwrap_or(u32::MAX)
    }

    /// Does it let this symbol through?
    pub fn has_symbol(&self, symbol: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(symbol))
    }

    /// Does it let this record's instrument through?
    #[inline]
    pub fn has_instrument(&mut self, record: &[u8], symbol: &str) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        let id = instrument_id(record);
        if let Some(known) = self.ids.get(&id) {
            return *known;
        }
        let has = self.has_symbol(symbol);
        self.ids.insert(id, has);
        has
    }

    /// The same, where the instruments are known by a list.
    pub fn has_instrument_of(&mut self, record: &[u8], instruments: &[Instrument]) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        let id = instrument_id(record);
        if let Some(known) = self.ids.get(&id) {
            return *known;
        }
        let symbol = instruments.iter().rev().find(|one| one.id == id);
        self.has_instrument(record, symbol.map_or("", |one| &one.symbol))
    }

    /// Does it let this record through, whose instrument it does?
    #[inline]
    pub fn has(&self, record: &[u8]) -> bool {
        if self.schemas.is_some_and(|mask| mask & bits(record) == 0) {
            return false;
        }
        let time = index_ts(record);
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{TradeMsg, bytes_of, header, rtype};

    fn filter(from: u64, to: u64, schemas: &[Schema], symbols: &[&str]) -> Filter {
        let symbols: Vec<_> = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
        Filter::new(Some(When(from)), Some(When(to)), schemas, &symbols).unwrap()
    }

    #[test]
    fn all_that_is_asked_for_has_to_hold() {
        let hd = header::<TradeMsg>(rtype::MBP_0, 1, 7, 100);
        let trade = TradeMsg { hd, ts_recv: 200, ..TradeMsg::default() };
        let record = bytes_of(&trade);
        assert!(filter(200, 201, &[Schema::Mbo, Schema::Trades], &["NQ*", "ES"]).has(record));
        assert!(!filter(201, 300, &[], &[]).has(record) && !filter(100, 200, &[], &[]).has(record));
        assert!(!filter(1, 300, &[Schema::Tbbo], &[]).has(record));
        let mut some = filter(1, 300, &[], &["NQ*", "ES"]);
        assert!(some.has_symbol("ES") && some.has_symbol("NQH4") && !some.has_symbol("ESH4"));
        assert!(some.has_instrument(record, "ES"), "and so it stays");
        assert!(some.has_instrument(record, "other"));
    }

    #[test]
    fn nothing_lies_between_a_time_and_an_earlier_one() {
        assert!(Filter::new(Some(When(5)), Some(When(5)), &[], &[]).is_err());
    }
}
