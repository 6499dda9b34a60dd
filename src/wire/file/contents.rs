//! What the metadata of a DBN file says of its records.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use dbn::encode::dbn::MetadataEncoder;
use dbn::{MappingInterval, Metadata, MetadataBuilder, SType, Schema, SymbolMapping};

use crate::clock::UnixNanos;

/// Bytes of a dataset's name that DBN holds.
const DATASET_BYTES: usize = 15;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Where the records are from: at most 15 bytes, of a longer one the first.
    pub dataset: String,
    /// The schema of all records; none where they have several.
    pub schema: Option<Schema>,
    /// Index time of the first record, ns, or before.
    pub start: UnixNanos,
    /// Index time after the last record, ns.
    pub end: UnixNanos,
    /// Has each record `ts_out` behind it?
    pub ts_out: bool,
    /// Symbols and the ids that stand for them.
    pub symbols: Vec<(String, u32)>,
}

impl Contents {
    /// As DBN v3 has it: each id stands for its symbol on all days from the start to the end.
    pub fn metadata(&self) -> Metadata {
        let cut = self.dataset.floor_char_boundary(DATASET_BYTES);
        let mut metadata = MetadataBuilder::new()
            .dataset(self.dataset[..cut].to_owned())
            .schema(self.schema)
            .start(self.start)
            .end(NonZeroU64::new(self.end))
            .stype_in(Some(SType::RawSymbol))
            .stype_out(SType::InstrumentId)
            .ts_out(self.ts_out)
            .build();
        let start_date = metadata.start().date();
        let last = metadata.end().unwrap_or(metadata.start()).max(metadata.start()).date();
        let end_date = last.next_day().unwrap_or(last);
        let mut ids: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (symbol, id) in &self.symbols {
            ids.entry(symbol).or_default().push(*id);
        }
        for (symbol, ids) in ids {
            let interval =
                |id: u32| MappingInterval { start_date, end_date, symbol: id.to_string() };
            let intervals = ids.into_iter().map(interval).collect();
            metadata.symbols.push(symbol.to_owned());
            metadata.mappings.push(SymbolMapping { raw_symbol: symbol.to_owned(), intervals });
        }
        metadata
    }

    /// What a file begins with.
    ///
    /// # Errors
    /// Where a symbol is longer than DBN's.
    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let encoded = MetadataEncoder::new(&mut head).encode(&self.metadata());
        encoded.map_err(std::io::Error::other)?;
        Ok(head)
    }
}
