//! What is in the records that are written: schemas, times, instruments.

use crate::clock::UnixNanos;
use crate::feed::Batch;
use crate::wire::file::Contents;
use crate::wire::record::{
    SCHEMAS, Schema, UNDEF_TIMESTAMP, index_ts, rtype_of, schema_of, schemas,
};

use super::play::Played;

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

    /// What the file says of itself: its one schema or, where they are mixed, none.
    pub(super) fn contents(&self, played: &Played) -> Contents {
        let mut schemas = self.schemas();
        let schema = schemas.next().filter(|_| schemas.next().is_none());
        let named = played.instruments.iter();
        Contents {
            dataset: played.dataset.clone(),
            schema: schema.map(|(schema, _)| schema),
            start: self.first.unwrap_or_default(),
            end: self.first.map_or(0, |_| self.last.saturating_add(1)),
            symbols: named.map(|instrument| (instrument.symbol.clone(), instrument.id)).collect(),
            ..Contents::default()
        }
    }
}
