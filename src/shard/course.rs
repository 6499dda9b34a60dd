//! Where a connection that is not live reads on: the ring, or the tape behind it. And where replays
//! read: that tape, or other recordings.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use bytes::Bytes;

use crate::clock::UnixNanos;
use crate::ring::Reader;
use crate::shard::catalog::Catalog;
use crate::tape::Block;
use crate::tape::desk::Desk;
use crate::tape::library::Library;
use crate::wire::record;

/// The tape that a recorder of this server writes, and who reads it for the shards.
#[derive(Clone)]
pub struct Tape {
    /// Who reads it.
    pub desk: Desk,
    /// Its folder.
    pub folder: Arc<PathBuf>,
    /// The catalog of its instruments that replays use.
    pub(super) roster: Roster,
}

/// A catalog that is kept while somebody uses it. Locked on the desk's thread alone.
pub(super) type Roster = Arc<Mutex<Weak<Catalog>>>;

/// Other recordings that clients may have replayed, and who reads them: a thread of its own, so
/// that a large one keeps nobody from catching up.
#[derive(Clone)]
pub struct Shelf {
    /// Who reads them.
    pub desk: Desk,
    /// The catalog that was used last.
    pub(super) roster: Roster,
}

impl Shelf {
    /// That of a library.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn of(library: Arc<Library>) -> io::Result<Self> {
        Ok(Self { desk: Desk::start(library)?, roster: Roster::default() })
    }
}

impl Tape {
    /// That in a folder, with a desk of its own.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let (folder, roster) = (Arc::new(folder.to_owned()), Roster::default());
        Ok(Self { desk: Desk::start(Arc::default())?, folder, roster })
    }
}

/// A way through the records of this run, oldest first.
pub enum Course {
    /// The ring still has what comes next.
    Ring(Reader),
    /// What comes next is on the tape.
    Tape(Passage),
}

impl Course {
    /// Number of the last record that was examined.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Ring(reader) => reader.seq(),
            Self::Tape(passage) => passage.after,
        }
    }
}

/// A way through a tape, block by block.
#[derive(Default)]
pub struct Passage {
    /// Number of the last record that was examined.
    after: u64,
    /// Number of the first record that is left of the block.
    next: u64,
    /// What is left of the block: published records.
    rest: Bytes,
    /// A block is being read.
    pub asked: bool,
    /// Nothing was there the last time: not to be asked again before this.
    pub retry: Option<Instant>,
    /// How often nothing was there.
    pub tries: u32,
}

/// Records on a passage with consecutive numbers.
pub struct Piece {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Published records, end to end.
    pub records: Bytes,
}

impl Piece {
    /// Each with its number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.first..).zip(record::each(&self.records))
    }
}

impl Passage {
    /// From the record after this number on.
    pub fn after(seq: u64) -> Self {
        Self { after: seq, ..Self::default() }
    }

    /// Number of the last record that was examined.
    pub fn seq(&self) -> u64 {
        self.after
    }

    /// Leaves out what comes up to this number: it is known.
    pub fn go_to(&mut self, seq: u64) {
        while self.next <= seq && !self.rest.is_empty() {
            let _ = self.rest.split_to(record::length(&self.rest));
            self.next += 1;
        }
        self.after = seq;
    }

    /// Has it been filled once?
    pub fn is_set(&self) -> bool {
        self.next > 0
    }

    /// The next record and its number.
    pub fn peek(&self) -> Option<(u64, Bytes)> {
        let length = record::length(&self.rest);
        (length > 0).then(|| (self.next, self.rest.slice(..length)))
    }

    /// Passes the next record.
    pub fn pop(&mut self) {
        let _ = self.rest.split_to(record::length(&self.rest));
        (self.after, self.next) = (self.next, self.next + 1);
    }

    /// Is nothing left of the block?
    pub fn is_dry(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes a block that holds the next record, and perhaps some before it. Where the next record
    /// is not on the tape, the block is the one after the hole.
    pub fn fill(&mut self, block: &Block) {
        (self.asked, self.retry, self.tries) = (false, None, 0);
        let known =
            block.records().zip(block.first_seq()..).take_while(|(_, seq)| *seq <= self.after);
        let skip: usize = known.map(|(record, _)| record.len()).sum();
        self.rest = block.bytes().slice(skip..);
        self.next = block.first_seq().max(self.after + 1);
    }

    /// Takes derived records, which have numbers of their own: they go on from the last one.
    pub fn take_derived(&mut self, records: Bytes) {
        (self.asked, self.retry, self.tries) = (false, None, 0);
        (self.rest, self.next) = (records, self.after + 1);
    }

    /// What lies between the last record examined and the block, where anything does: it is not on
    /// the tape. It counts as examined.
    pub fn take_hole(&mut self) -> Option<(u64, u64)> {
        let hole = (!self.is_dry() && self.next > self.after + 1)
            .then(|| (self.after + 1, self.next - 1))?;
        self.after = hole.1;
        Some(hole)
    }

    /// Cuts off records up to number `until` and with a `ts_out` up to `time`, one at least where
    /// there is one, until there are `bytes` of them.
    pub fn take(&mut self, until: u64, time: UnixNanos, bytes: usize) -> Option<Piece> {
        let (mut length, mut count) = (0, 0);
        while length < bytes && length < self.rest.len() && self.next + count <= until {
            let record = &self.rest[length..];
            if time < UnixNanos::MAX && record::ts_out(&record[..record::length(record)]) > time {
                break;
            }
            length += record::length(&self.rest[length..]);
            count += 1;
        }
        let records = (count > 0).then(|| self.rest.split_to(length))?;
        let piece = Piece { first: self.next, last: self.next + count - 1, records };
        (self.next, self.after) = (piece.last + 1, piece.last);
        Some(piece)
    }
}
