//! Recordings by their names: what clients may have replayed besides what the server itself
//! records.
//!
//! Whoever watches a folder puts them in and takes them out; the desk and the pages look them up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Tape, TapeError};
use crate::clock::UnixNanos;

/// A recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it was found: the folder of a tape, or a file.
    pub path: PathBuf,
    /// What may be done with it.
    pub state: State,
}

/// What may be done with a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is being read, and can be replayed once that is done.
    Preparing,
    /// It can be replayed.
    Ready {
        /// The tape that is read.
        tape: Arc<PathBuf>,
        /// What is on it.
        summary: Summary,
        /// What is damaged, where anything is: it ends before that.
        damage: Option<String>,
    },
    /// It can't be replayed, for this reason.
    Refused(String),
}

/// What a recording holds, in short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Least and greatest index time of its records, ns.
    pub times: Option<(UnixNanos, UnixNanos)>,
    /// How many.
    pub records: u64,
    /// Mask of their schemas.
    pub schemas: u32,
    /// Instruments.
    pub symbols: usize,
}

impl Summary {
    /// Of a tape.
    ///
    /// # Errors
    /// Its symbols can't be read.
    pub fn of(tape: &Tape) -> Result<Self, TapeError> {
        let (times, records, schemas) = (tape.index_times(), tape.records(), tape.schemas());
        Ok(Self { times, records, schemas, symbols: tape.instruments()?.len() })
    }
}

/// Recordings by their names.
#[derive(Debug, Default)]
pub struct Library(RwLock<BTreeMap<String, Entry>>);

impl Library {
    /// Puts a recording in, in the place of one of that name.
    pub fn put(&self, name: &str, entry: Entry) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), entry);
    }

    /// Takes one out.
    pub fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The recording of a name.
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<(String, Entry)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect()
    }
}
