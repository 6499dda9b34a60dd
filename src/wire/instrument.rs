//! Instruments and their directory: which symbol an instrument id stands for.
//!
//! Control plane only. The publisher registers an instrument before its first record is committed;
//! shards and pages read. Entries are never changed or removed, so that a reader may keep what it
//! has seen and ask only for what is newer ([`Directory::since`]).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::record::{Schema, is_tbbo, mapping, publish_into, rtype_of, schema_of, schemas};
use crate::limits::{INSTRUMENTS_MAX, SYMBOL_BYTES};

/// What can be traded under one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The id in every record header, unique on this server.
    pub id: u32,
    /// Who publishes it.
    pub publisher: u16,
    /// What people call it, at most 70 bytes, no control characters.
    pub symbol: String,
    /// Smallest price step, 1e-9 units.
    pub tick: Option<i64>,
    /// Shares or contracts of a round lot.
    pub lot: Option<u32>,
    /// Bit `1 << schema` for each schema that its feed brings for it.
    pub schemas: u32,
}

impl Instrument {
    /// Does its feed bring this schema?
    pub fn has(&self, schema: Schema) -> bool {
        self.schemas & bit(schema) != 0
    }

    /// Appends its mapping as a published record stamped `ts` ns.
    pub fn publish_mapping(&self, out: &mut Vec<u8>, ts: u64) {
        let map = mapping(self.publisher, self.id, &self.symbol, ts);
        publish_into(out, super::record::bytes_of(&map), ts);
    }
}

/// The bit of a schema in a mask of schemas.
pub const fn bit(schema: Schema) -> u32 {
    1 << schema as u32
}

/// The mask of the schemas that a record belongs to: one, or for the `mbp-1` of a trade two.
#[inline]
pub fn bits(record: &[u8]) -> u32 {
    let tbbo = if is_tbbo(record) { bit(Schema::Tbbo) } else { 0 };
    schema_of(rtype_of(record)).map_or(0, bit) | tbbo
}

/// The schemas of a mask, in the order of their numbers.
pub fn schemas_of(mask: u32) -> impl Iterator<Item = Schema> {
    schemas().filter(move |schema| mask & bit(*schema) != 0)
}

/// Why an instrument can't be registered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DirectoryError {
    /// The id stands for something else already.
    #[error("instrument id {id} of {symbol:?} stands for {taken:?} already")]
    IdTaken {
        /// The id.
        id: u32,
        /// Who wanted it.
        symbol: String,
        /// Who has it.
        taken: String,
    },
    /// Empty, too long, or with control characters.
    #[error("symbol {0:?} is not 1 to {SYMBOL_BYTES} bytes without control characters")]
    BadSymbol(String),
    /// The directory is full.
    #[error("more than {INSTRUMENTS_MAX} instruments")]
    Full,
}

#[derive(Default)]
struct Entries {
    all: Vec<Arc<Instrument>>,
    by_id: HashMap<u32, u32>,
    by_symbol: HashMap<String, Vec<u32>>,
}

/// All instruments of a server, in the order of their registration: that order's index is what the
/// data plane calls `instrument`, dense from 0.
#[derive(Default)]
pub struct Directory {
    entries: RwLock<Entries>,
}

impl Directory {
    /// Adds an instrument and returns its index; registering the same one again returns the index
    /// it has.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing is added then.
    pub fn register(&self, instrument: Instrument) -> Result<u32, DirectoryError> {
        let symbol = &instrument.symbol;
        let sized = (1..=SYMBOL_BYTES).contains(&symbol.len());
        if !sized || symbol.chars().any(char::is_control) {
            return Err(DirectoryError::BadSymbol(symbol.clone()));
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&index) = entries.by_id.get(&instrument.id) {
            let known = &entries.all[index as usize];
            if known.symbol == *symbol && known.publisher == instrument.publisher {
                return Ok(index);
            }
            let (id, taken) = (instrument.id, known.symbol.clone());
            return Err(DirectoryError::IdTaken { id, symbol: symbol.clone(), taken });
        }
        let index = entries.all.len();
        if index >= INSTRUMENTS_MAX {
            return Err(DirectoryError::Full);
        }
        entries.by_id.insert(instrument.id, index as u32);
        entries.by_symbol.entry(symbol.clone()).or_default().push(index as u32);
        entries.all.push(Arc::new(instrument));
        Ok(index as u32)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().all.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those with an index of `from` and above.
    pub fn since(&self, from: usize) -> Vec<Arc<Instrument>> {
        self.read().all.get(from..).unwrap_or_default().to_vec()
    }

    /// At most `limit` from index `from` on.
    pub fn page(&self, from: usize, limit: usize) -> Vec<Arc<Instrument>> {
        self.read().all.iter().skip(from).take(limit).cloned().collect()
    }

    /// Those of a symbol (several where venues share it).
    pub fn find(&self, symbol: &str) -> Vec<Arc<Instrument>> {
        let entries = self.read();
        let found = entries.by_symbol.get(symbol).map_or(&[][..], Vec::as_slice);
        found.iter().map(|&index| entries.all[index as usize].clone()).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instrument(id: u32, symbol: &str) -> Instrument {
        let symbol = symbol.to_owned();
        Instrument { id, publisher: 64000, symbol, tick: None, lot: None, schemas: 0 }
    }

    #[test]
    fn an_id_stands_for_one_symbol() {
        let directory = Directory::default();
        assert_eq!(directory.register(instrument(9, "A")), Ok(0));
        assert_eq!(directory.register(instrument(9, "A")), Ok(0));
        let taken = directory.register(instrument(9, "B"));
        assert!(matches!(taken, Err(DirectoryError::IdTaken { id: 9, .. })));
        assert_eq!(directory.register(instrument(10, "A")), Ok(1));
        assert_eq!(directory.find("A").len(), 2);
        assert_eq!(directory.since(1)[0].id, 10);
    }

    #[test]
    fn a_symbol_is_short_and_printable() {
        let directory = Directory::default();
        for bad in ["", "A\n", &"x".repeat(71)] {
            let refused = directory.register(instrument(1, bad));
            assert!(matches!(refused, Err(DirectoryError::BadSymbol(_))), "{bad:?}");
        }
    }
}
