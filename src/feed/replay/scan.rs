//! Looks through a file before it is played, where its metadata doesn't say what is in it.

use foldhash::HashMap;

use super::symbols;
use crate::feed::source::Recording;
use crate::limits::INSTRUMENTS_MAX;
use crate::wire::file::FileError;
use crate::wire::instrument::bit;
use crate::wire::record::{self, Schema, rtype, schema_of};

/// Records that are looked at; what first shows up after them is introduced as it comes.
const RECORDS_MAX: u64 = 4 << 20;

/// What a file holds.
#[derive(Default)]
pub(crate) struct Found {
    /// By publisher and id.
    pub(super) instruments: HashMap<(u16, u32), Seen>,
    /// The first symbol that a mapping record gives an id (they name no publisher).
    pub(super) mapped: HashMap<u32, String>,
    /// Was all of it looked at?
    pub(super) whole: bool,
}

/// What is known of an instrument of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its first definition's.
    pub(super) symbol: Option<String>,
    pub(super) tick: Option<i64>,
    pub(super) lot: Option<u32>,
    /// Bits of schemas.
    pub(super) schemas: u32,
}

impl Seen {
    /// Adds what a record of it tells.
    pub(super) fn note(&mut self, record: &[u8]) {
        let kind = record::rtype_of(record);
        self.schemas |= schema_of(kind).map_or(0, schemas_with);
        if kind == rtype::INSTRUMENT_DEF && self.symbol.is_none() {
            self.symbol = symbols::of_definition(record).map(str::to_owned);
            (self.tick, self.lot) = symbols::steps(record);
        }
    }
}

/// Reads a file from its beginning. Where it is damaged, what comes before is told: playing it will
/// come to the place.
///
/// # Errors
/// Where it can't be opened (again).
pub(crate) fn scan(recording: &Recording) -> Result<Found, FileError> {
    let mut source = recording.open()?;
    let mut found = Found::default();
    while source.records() < RECORDS_MAX {
        if !matches!(source.advance(), Ok(true)) {
            found.whole = true;
            break;
        }
        let record = source.record();
        let id = record::instrument_id(record);
        match record::rtype_of(record) {
            rtype::SYSTEM | rtype::ERROR => {}
            rtype::SYMBOL_MAPPING => {
                if let Some(symbol) = symbols::of_mapping(record) {
                    found.mapped.entry(id).or_insert_with(|| symbol.to_owned());
                }
            }
            _ if found.instruments.len() >= INSTRUMENTS_MAX => break,
            _ => {
                let key = (record::publisher_id(record), id);
                found.instruments.entry(key).or_default().note(record);
            }
        }
    }
    Ok(found)
}

/// The bits of a schema and of what comes with it: DBN's `tbbo` records are `mbp-1` ones, and an
/// `mbp-1` file holds all that belong to `tbbo`.
pub(super) fn schemas_with(schema: Schema) -> u32 {
    match schema {
        Schema::Mbp1 | Schema::Tbbo => bit(Schema::Mbp1) | bit(Schema::Tbbo),
        other => bit(other),
    }
}
