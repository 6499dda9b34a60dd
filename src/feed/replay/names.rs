//! The symbols behind the ids of one file, and where the records of each id go.
//!
//! The symbol of an id is, in this order: the one that a mapping record gave it last, the one that
//! metadata gives it on the day, its definition's, and the id in decimal. So
//! - a symbol with several ids (a continuous contract that rolls, ids that change each day) is
//!   several instruments of one symbol, and a subscriber to it gets them all;
//! - an id that stands for several symbols, one after the other, is one instrument for each;
//! - of several symbols for one id at one time, the first that metadata names is taken.

use dbn::{Dataset, Publisher};
use foldhash::{HashMap, HashMapExt};

use super::scan::{Found, Seen, schemas_with};
use super::symbols::{self, Span};
use crate::clock::UnixNanos;
use crate::feed::source::Source;
use crate::wire::record::{self, PUBLISHER_NONE, rtype};

/// The dataset of a publisher that DBN knows.
pub(crate) fn dataset_of(publisher: u16) -> Option<Dataset> {
    Publisher::try_from(publisher).ok().map(|publisher| publisher.dataset())
}

/// What one file says of its ids.
pub(crate) struct Names {
    /// The dataset that its metadata names.
    dataset: Option<String>,
    /// Whose its first record is.
    publisher: u16,
    /// Symbols that metadata gives, by id, in the order of their starts, none overlapping.
    spans: HashMap<u32, Vec<Span>>,
    /// Symbols that mapping records gave last.
    mapped: HashMap<u32, String>,
    /// What a look through it found.
    found: Found,
    /// Schemas that it brings, as far as is known.
    schemas: u32,
    /// Where records go, by publisher and id.
    routes: HashMap<(u16, u32), Route>,
}

/// Where the records of an id go.
#[derive(Clone, Copy)]
struct Route {
    /// Under which id.
    out: u32,
    /// Until its symbol changes.
    until: UnixNanos,
}

/// An instrument as a file has it.
pub(crate) struct Named {
    /// The dataset or the publisher within which its id means something.
    pub(crate) realm: String,
    pub(crate) publisher: u16,
    pub(crate) id: u32,
    pub(crate) symbol: String,
    pub(crate) seen: Seen,
}

impl Names {
    /// Of a file that stands at its first record, and of what a look through it found.
    pub(crate) fn new(source: &dyn Source, found: Found) -> Self {
        let metadata = source.metadata();
        let mut spans: HashMap<u32, Vec<Span>> = HashMap::new();
        for span in metadata.map(symbols::of_metadata).unwrap_or_default() {
            add(spans.entry(span.id).or_default(), span);
        }
        let seen = found.instruments.values().fold(0, |all, seen| all | seen.schemas);
        let record = source.record();
        let has_record = !record.is_empty();
        Self {
            dataset: metadata.map(|m| m.dataset.clone()).filter(|name| !name.is_empty()),
            publisher: if has_record { record::publisher_id(record) } else { PUBLISHER_NONE },
            spans,
            mapped: found.mapped.clone(),
            schemas: metadata.and_then(|m| m.schema).map_or(seen, schemas_with),
            found,
            routes: HashMap::new(),
        }
    }

    /// Is a look through a file needed to know its instruments and their schemas?
    pub(crate) fn are_missing(source: &dyn Source) -> bool {
        source.metadata().is_none_or(|m| m.schema.is_none() || symbols::of_metadata(m).is_empty())
    }

    /// The instruments it is known to have, by id.
    pub(crate) fn all(&self) -> Vec<Named> {
        let spans = self.spans.values().flatten();
        let in_metadata = spans.map(|span| (self.publisher, span.id, span.symbol.clone()));
        let keys = self.found.instruments.keys();
        let elsewhere = keys.filter(|(_, id)| !self.spans.contains_key(id));
        let elsewhere = elsewhere.map(|&(publisher, id)| {
            let symbol = self.symbol(publisher, id, None, 0).0;
            (publisher, id, symbol)
        });
        let mut all: Vec<_> = in_metadata.chain(elsewhere).collect();
        // Stable: of several instruments with one id, the earliest keeps it.
        all.sort_by_key(|(publisher, id, _)| (*id, *publisher));
        all.into_iter().map(|(publisher, id, symbol)| self.named(publisher, id, symbol)).collect()
    }

    /// The instruments that metadata names, each with the days on which its id stands for it.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (Named, UnixNanos, UnixNanos)> {
        let named = |span: &Span| self.named(self.publisher, span.id, span.symbol.clone());
        self.spans.values().flatten().map(move |span| (named(span), span.start, span.end))
    }

    /// The instrument of a record of this time, and until when its id stands for it.
    pub(crate) fn name(&self, record: &[u8], time: UnixNanos) -> (Named, UnixNanos) {
        let (publisher, id) = (record::publisher_id(record), record::instrument_id(record));
        let (symbol, until) = self.symbol(publisher, id, Some(record), time);
        let mut named = self.named(publisher, id, symbol);
        named.seen.note(record);
        (named, until)
    }

    fn named(&self, publisher: u16, id: u32, symbol: String) -> Named {
        let seen = self.found.instruments.get(&(publisher, id));
        let certain = self.found.whole && seen.is_some();
        let mut seen = seen.cloned().unwrap_or_default();
        seen.schemas |= if certain { 0 } else { self.schemas };
        Named { realm: self.realm(publisher), publisher, id, symbol, seen }
    }

    /// The realm of a publisher's ids: within a dataset all publishers number alike.
    fn realm(&self, publisher: u16) -> String {
        let known = || dataset_of(publisher).map(|dataset| dataset.to_string());
        let realm = self.dataset.clone().or_else(known);
        realm.unwrap_or_else(|| format!("publisher {publisher}"))
    }

    fn symbol(
        &self,
        publisher: u16,
        id: u32,
        record: Option<&[u8]>,
        time: UnixNanos,
    ) -> (String, UnixNanos) {
        const EVER: UnixNanos = UnixNanos::MAX;
        if let Some(symbol) = self.mapped.get(&id) {
            return (symbol.clone(), EVER);
        }
        if let Some(spans) = self.spans.get(&id).filter(|spans| !spans.is_empty()) {
            let at = spans.iter().rposition(|span| span.start <= time).unwrap_or(0);
            let symbol = &spans[at].symbol;
            let next = spans[at..].iter().find(|span| span.symbol != *symbol);
            return (symbol.clone(), next.map_or(EVER, |span| span.start));
        }
        let definition = record.filter(|record| record::rtype_of(record) == rtype::INSTRUMENT_DEF);
        let scanned = self.found.instruments.get(&(publisher, id));
        let symbol = scanned.and_then(|seen| seen.symbol.as_deref());
        let symbol = symbol.or_else(|| symbols::of_definition(definition?));
        (symbol.map_or_else(|| id.to_string(), str::to_owned), EVER)
    }

    /// Takes in what a mapping record says.
    pub(crate) fn learn(&mut self, mapping: &[u8]) {
        let id = record::instrument_id(mapping);
        let Some(symbol) = symbols::of_mapping(mapping) else { return };
        if self.mapped.get(&id).is_none_or(|known| known != symbol) {
            self.mapped.insert(id, symbol.to_owned());
            self.routes.retain(|(_, routed), _| *routed != id);
        }
    }

    /// The id under which a record of this time goes out; none where it has to be named first.
    #[inline]
    pub(crate) fn route(&self, record: &[u8], time: UnixNanos) -> Option<u32> {
        let key = (record::publisher_id(record), record::instrument_id(record));
        let route = self.routes.get(&key).filter(|route| time < route.until)?;
        Some(route.out)
    }

    /// From now on records like this one go out under an id, until a time.
    pub(crate) fn set_route(&mut self, record: &[u8], out: u32, until: UnixNanos) {
        let key = (record::publisher_id(record), record::instrument_id(record));
        self.routes.insert(key, Route { out, until });
    }

    /// Begins anew, with the file.
    pub(crate) fn restart(&mut self) {
        self.mapped.clone_from(&self.found.mapped);
        self.routes.clear();
    }
}

/// Adds a span, unless the id stands for something at that time already.
fn add(spans: &mut Vec<Span>, span: Span) {
    let overlaps = spans.iter().any(|known| span.start < known.end && known.start < span.end);
    if !overlaps {
        let at = spans.partition_point(|known| known.start < span.start);
        spans.insert(at, span);
    }
}
