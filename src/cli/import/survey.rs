//! What is in the records to be written: schemas, times, instruments, as DBN's metadata says it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use dbn::{MappingInterval, Metadata, MetadataBuilder, SType, SymbolMapping};
use time::{Date, Duration, OffsetDateTime};

use super::play::Played;
use crate::clock::UnixNanos;
use crate::feed::Batch;
use crate::wire::instrument::Instrument;
use crate::wire::record::{
    SCHEMAS, Schema, UNDEF_TIMESTAMP, index_ts, rtype_of, schema_of, schemas,
};

/// What was found so far.
#[derive(Default)]
pub(super) struct Survey {
    /// Records by schema.
    counts: [u64; SCHEMAS],
    first: Option<UnixNanos>,
    last: UnixNanos,
}

impl Survey {
    /// Adds records; mappings are none.
    pub(super) fn note(&mut self, batch: &Batch) {
        for record in batch.iter() {
            let Some(schema) = schema_of(rtype_of(record)) else { continue };
            self.counts[schema as usize] += 1;
            let time = index_ts(record);
            if time != UNDEF_TIMESTAMP && time != 0 {
                self.first = Some(self.first.map_or(time, |first| first.min(time)));
                self.last = self.last.max(time);
            }
        }
    }

    /// Records by schema, those that there are.
    pub(super) fn schemas(&self) -> impl Iterator<Item = (Schema, u64)> {
        let counts = schemas().map(|schema| (schema, self.counts[schema as usize]));
        counts.filter(|(_, count)| *count > 0)
    }

    /// All records.
    pub(super) fn records(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The times of the first and the last record; none where no record has one.
    pub(super) fn times(&self) -> Option<(UnixNanos, UnixNanos)> {
        self.first.map(|first| (first, self.last))
    }

    /// The metadata of a file of these records: the one schema or, where they are mixed, none.
    pub(super) fn metadata(&self, played: &Played) -> Metadata {
        let mut schemas = self.schemas();
        let schema = schemas.next().filter(|_| schemas.next().is_none());
        let mappings = mappings(&played.instruments, self.days());
        MetadataBuilder::new()
            .dataset(&played.dataset)
            .schema(schema.map(|(schema, _)| schema))
            .start(self.first.unwrap_or_default())
            .end(self.first.and_then(|_| NonZeroU64::new(self.last.saturating_add(1))))
            .stype_in(Some(SType::RawSymbol))
            .stype_out(SType::InstrumentId)
            .symbols(mappings.iter().map(|mapping| mapping.raw_symbol.clone()).collect())
            .mappings(mappings)
            .build()
    }

    /// The days (UTC) of the records: the first, and the one after the last.
    fn days(&self) -> (Date, Date) {
        let day = |time: UnixNanos| {
            let seconds = i64::try_from(time / 1_000_000_000).unwrap_or_default();
            OffsetDateTime::from_unix_timestamp(seconds).map_or(Date::MIN, OffsetDateTime::date)
        };
        (day(self.first.unwrap_or_default()), day(self.last).saturating_add(Duration::DAY))
    }
}

/// Symbols and the ids that they stand for on these days; one may have several.
fn mappings(
    instruments: &[Instrument],
    (start_date, end_date): (Date, Date),
) -> Vec<SymbolMapping> {
    let mut by_symbol: BTreeMap<&str, Vec<MappingInterval>> = BTreeMap::new();
    for instrument in instruments {
        let symbol = instrument.id.to_string();
        let interval = MappingInterval { start_date, end_date, symbol };
        by_symbol.entry(&instrument.symbol).or_default().push(interval);
    }
    let each = by_symbol.into_iter();
    each.map(|(symbol, intervals)| SymbolMapping { raw_symbol: symbol.to_owned(), intervals })
        .collect()
}
