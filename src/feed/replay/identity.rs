//! One id for each instrument, over all files of a replay.
//!
//! An instrument is a realm (a dataset, or a publisher that belongs to none), the id it has there,
//! and its symbol. It keeps that id, unless it went to another instrument before: then it gets one
//! from [`REMAPPED`] on.

use foldhash::{HashMap, HashSet};

use super::names::Named;
use crate::wire::instrument::Instrument;

/// The first id that is given to an instrument whose own is taken.
const REMAPPED: u32 = 4_000_000_000;

/// The instruments that were named so far, and their ids.
pub(super) struct Identities {
    ids: HashMap<(String, u32, String), u32>,
    taken: HashSet<u32>,
    /// None from [`REMAPPED`] up to here is free.
    next: u32,
}

impl Default for Identities {
    fn default() -> Self {
        Self { ids: HashMap::default(), taken: HashSet::default(), next: REMAPPED }
    }
}

impl Identities {
    /// The id of an instrument that was introduced.
    pub(super) fn get(&self, named: &Named) -> Option<u32> {
        self.ids.get(&key(named)).copied()
    }

    /// An instrument that was not introduced, with an id that is free.
    pub(super) fn propose(&self, named: &Named) -> Instrument {
        let id = if self.taken.contains(&named.id) { self.next } else { named.id };
        Instrument {
            id,
            publisher: named.publisher,
            symbol: named.symbol.clone(),
            tick: named.seen.tick,
            lot: named.seen.lot,
            schemas: named.seen.schemas,
        }
    }

    /// It was introduced under this id.
    pub(super) fn confirm(&mut self, named: &Named, id: u32) {
        self.ids.insert(key(named), id);
        self.taken.insert(id);
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
    }
}

fn key(named: &Named) -> (String, u32, String) {
    (named.realm.clone(), named.id, named.symbol.clone())
}

/// The instruments that the files are known to have, each once, in the order of the files. Those
/// whose ids had to be changed are logged.
pub(super) fn announce(ids: &mut Identities, known: Vec<Named>) -> Vec<Instrument> {
    let mut all: Vec<Instrument> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::default();
    for named in known {
        if let Some(id) = ids.get(&named) {
            if let Some(&place) = places.get(&id) {
                all[place].schemas |= named.seen.schemas;
            }
            continue;
        }
        let instrument = ids.propose(&named);
        if instrument.id != named.id {
            let (symbol, own, id) = (&named.symbol, named.id, instrument.id);
            tracing::warn!("instrument id {own} of {symbol} is taken: its records go out as {id}");
        }
        ids.confirm(&named, instrument.id);
        places.insert(instrument.id, all.len());
        all.push(instrument);
    }
    all
}
