//! What the metadata of a DBN file says of its records.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU64;

use dbn::encode::dbn::MetadataEncoder;
use dbn::{MappingInterval, Metadata, MetadataBuilder, SType, Schema, SymbolMapping};
use time::OffsetDateTime;

use crate::clock::{SECOND, UnixNanos};
use crate::limits::SYMBOL_BYTES;

/// Bytes of a dataset's name that DBN holds.
const DATASET_BYTES: usize = 15;
/// Bytes that a symbol takes in the metadata, with the terminating zero.
const CELL: usize = SYMBOL_BYTES + 1;
/// What no symbol begins with.
const MARK: &str = "\u{1}\u{2}\u{3}";

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
    /// Symbols and the ids that stand for them, on all days.
    pub symbols: Vec<(String, u32)>,
    /// Symbols and the ids that stand for them on some days only.
    pub spans: Vec<Span>,
}

/// An id that stands for a symbol on some days (UTC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The symbol.
    pub symbol: String,
    /// Its id.
    pub id: u32,
    /// A time of the first day, ns.
    pub start: UnixNanos,
    /// A time of the day after the last one, ns.
    pub end: UnixNanos,
}

impl Contents {
    /// As DBN v3 has it.
    ///
    /// Readers take a symbol's intervals for apart from each other: where a symbol has several ids
    /// at one time, it has several mappings.
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
        let mut spans: Vec<&Span> = self.spans.iter().collect();
        spans.sort_by_key(|span| (&span.symbol, span.start));
        let last = self.end.max(self.start);
        for span in spans {
            let known = metadata.mappings.last_mut().filter(|m| m.raw_symbol == span.symbol);
            let interval = interval(span.id, span.start, span.end.saturating_sub(1));
            match known {
                Some(m) if m.intervals.iter().all(|i| i.end_date <= interval.start_date) => {
                    m.intervals.push(interval);
                }
                _ => metadata.mappings.push(mapping(&span.symbol, interval)),
            }
        }
        let always = self.symbols.iter();
        let always = always.map(|(symbol, id)| mapping(symbol, interval(*id, self.start, last)));
        metadata.mappings.extend(always);
        let symbols = metadata.mappings.iter().map(|mapping| mapping.raw_symbol.clone());
        metadata.symbols = symbols.collect::<BTreeSet<_>>().into_iter().collect();
        metadata
    }

    /// What a file begins with.
    ///
    /// # Errors
    /// Where a symbol is longer than DBN's.
    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let mut metadata = self.metadata();
        let mut foreign = Foreign::default();
        let mappings = metadata.mappings.iter_mut().map(|mapping| &mut mapping.raw_symbol);
        mappings.chain(&mut metadata.symbols).for_each(|symbol| foreign.take(symbol));
        let encoded = MetadataEncoder::new(&mut head).encode(&metadata);
        encoded.map_err(std::io::Error::other)?;
        foreign.put_back(&mut head);
        Ok(head)
    }
}

/// Symbols beyond ASCII: exchanges have them, and readers of DBN take them as UTF-8, but its
/// encoder refuses them. Others stand in for them while it is at work.
#[derive(Default)]
struct Foreign {
    /// Each by the one that stands in for it.
    symbols: HashMap<String, String>,
}

impl Foreign {
    /// Takes a symbol out, where the encoder would refuse it. No other is like what stands in for
    /// it: symbols are without control characters. One that is too long stays refused.
    fn take(&mut self, symbol: &mut String) {
        if !symbol.is_ascii() && symbol.len() <= SYMBOL_BYTES {
            let stand_in = format!("{MARK}{}", self.symbols.len());
            self.symbols.insert(stand_in.clone(), std::mem::replace(symbol, stand_in));
        }
    }

    fn put_back(&self, head: &mut [u8]) {
        let mut at = 0;
        while !self.symbols.is_empty() && at + CELL <= head.len() {
            let cell = &mut head[at..at + CELL];
            let Some(symbol) = self.stands_for(cell) else {
                at += 1;
                continue;
            };
            cell.fill(0);
            cell[..symbol.len()].copy_from_slice(symbol.as_bytes());
            at += CELL;
        }
    }

    fn stands_for(&self, cell: &[u8]) -> Option<&str> {
        let marked = Some(cell).filter(|cell| cell.starts_with(MARK.as_bytes()))?;
        let text = marked.split(|byte| *byte == 0).next()?;
        self.symbols.get(std::str::from_utf8(text).ok()?).map(String::as_str)
    }
}

fn mapping(symbol: &str, interval: MappingInterval) -> SymbolMapping {
    SymbolMapping { raw_symbol: symbol.to_owned(), intervals: vec![interval] }
}

/// From the day of one time to that of another, ns.
fn interval(id: u32, first: UnixNanos, last: UnixNanos) -> MappingInterval {
    let date = |at: UnixNanos| {
        let seconds = (at / SECOND) as i64;
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date()
    };
    let (start_date, last) = (date(first), date(last.max(first)));
    let end_date = last.next_day().unwrap_or(last);
    MappingInterval { start_date, end_date, symbol: id.to_string() }
}
