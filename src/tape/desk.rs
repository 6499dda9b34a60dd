//! The desk: one thread that reads tapes for all who serve clients, so that none of them waits for
//! a disk.
//!
//! Who wants a block asks for what comes after a position, and is called back. The thread keeps the
//! cursors that were used last, and the blocks that were read last: many clients that catch up at
//! about the same place share one read. Questions wait in a bounded queue; who finds it full asks
//! again later.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use crossbeam::channel::{Receiver, Sender, bounded};

use super::library::{Library, State, Summary};
use super::workshop::Workshop;
use super::{Block, Cursor, Tape, TapeError};
use crate::clock::UnixNanos;
use crate::limits::{DESK_BLOCKS, DESK_CURSORS, DESK_QUEUE, DESK_TAPES};
use crate::wire::instrument::Instrument;

/// From where to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The record after this number.
    After(u64),
    /// The first record with this `ts_out`, ns, or a later one.
    At(UnixNanos),
    /// A record before the first with this index time, ns, or that one: near it, where the index
    /// times of the tape go up.
    Near(UnixNanos),
}

/// What the desk found.
#[derive(Clone, Debug)]
pub enum Found {
    /// The block with the first record that was asked for, and perhaps some before it.
    Block(Block),
    /// The next records of a derivation, published, end to end; there may be none of them.
    Derived {
        /// They.
        records: Bytes,
        /// Nothing comes after them.
        over: bool,
    },
    /// A tape that was opened.
    Tape(Arc<Contents>),
    /// Nothing there has been recorded yet. The number that is expected next.
    End {
        /// That number.
        expected: u64,
    },
    /// It is no longer retained; in words.
    Gone(String),
    /// The tape can't be read there; in words.
    Failed(String),
    /// There is no recording of this name; in words.
    Absent(String),
    /// It can't be replayed, or not yet; in words.
    Unready(String),
}

/// What a tape holds, as of now.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Its folder.
    pub folder: Arc<PathBuf>,
    /// The sequence that its numbers belong to.
    pub epoch: u64,
    /// Number of its newest record.
    pub last_seq: u64,
    /// Records on it.
    pub records: u64,
    /// Least and greatest index time of its records, ns.
    pub times: Option<(UnixNanos, UnixNanos)>,
    /// Mask of the schemas of its records.
    pub schemas: u32,
    /// The instruments that it names.
    pub instruments: Vec<Instrument>,
}

impl Contents {
    /// In short.
    pub fn summary(&self) -> Summary {
        let Self { times, records, schemas, instruments, .. } = self;
        Summary { times: *times, records: *records, schemas: *schemas, symbols: instruments.len() }
    }
}

/// What is called with what was found, on the desk's thread.
pub type Reply = Box<dyn FnOnce(Found) + Send>;

enum What {
    Open,
    Find(String),
    Read(From),
}

struct Question {
    tape: Arc<PathBuf>,
    what: What,
    reply: Reply,
}

/// Where to ask. The thread ends when all of these are gone.
#[derive(Clone)]
pub struct Desk {
    questions: Sender<Question>,
    /// Who derives what a recording does not hold.
    pub workshop: Workshop,
}

impl Desk {
    /// Starts the thread, which looks recordings up in a library.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(library: Arc<Library>) -> io::Result<Self> {
        let (sender, questions) = bounded(DESK_QUEUE);
        let (tapes, cursors, blocks) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        let clerk = Clerk { library, tapes, cursors, blocks };
        thread::Builder::new().name("desk".to_owned()).spawn(move || clerk.run(&questions))?;
        Ok(Self { questions: sender, workshop: Workshop::start()? })
    }

    /// Asks for what a tape holds from a place on.
    ///
    /// # Errors
    /// The queue is full: ask again later.
    pub fn ask(&self, tape: &Arc<PathBuf>, from: From, reply: Reply) -> Result<(), Full> {
        self.put(Question { tape: tape.clone(), what: What::Read(from), reply })
    }

    /// Asks what a tape holds.
    ///
    /// # Errors
    /// The queue is full: ask again later.
    pub fn open(&self, tape: &Arc<PathBuf>, reply: Reply) -> Result<(), Full> {
        self.put(Question { tape: tape.clone(), what: What::Open, reply })
    }

    /// Asks what the recording of a name holds.
    ///
    /// # Errors
    /// The queue is full: ask again later.
    pub fn find(&self, name: &str, reply: Reply) -> Result<(), Full> {
        let (tape, what) = (Arc::default(), What::Find(name.to_owned()));
        self.put(Question { tape, what, reply })
    }

    fn put(&self, question: Question) -> Result<(), Full> {
        self.questions.try_send(question).map_err(|_| Full)
    }
}

/// More questions wait than the desk takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{DESK_QUEUE} reads wait already")]
pub struct Full;

/// Who sits behind it. What was used last stands at the back.
struct Clerk {
    library: Arc<Library>,
    tapes: VecDeque<(Arc<PathBuf>, Tape)>,
    cursors: VecDeque<(Arc<PathBuf>, Cursor)>,
    blocks: VecDeque<(Arc<PathBuf>, Block)>,
}

impl Clerk {
    fn run(mut self, questions: &Receiver<Question>) {
        while let Ok(Question { tape, what, reply }) = questions.recv() {
            // Whoever asks waits for an answer: a fault is one as well.
            let found = catch_unwind(AssertUnwindSafe(|| match what {
                What::Open => self.open(&tape),
                What::Find(name) => self.find(&name),
                What::Read(from) => self.read(&tape, from),
            }));
            reply(found.map_or_else(|_| self.recover(&tape), Self::told));
        }
    }

    /// Forgets all that it keeps of a tape that it panicked at.
    fn recover(&mut self, tape: &Arc<PathBuf>) -> Found {
        tracing::error!(tape = %tape.display(), "a read of the tape has panicked");
        self.tapes.retain(|(of, _)| of != tape);
        self.cursors.retain(|(of, _)| of != tape);
        self.blocks.retain(|(of, _)| of != tape);
        Found::Failed("a fault of the server while it read there".to_owned())
    }

    fn told(found: Result<Found, TapeError>) -> Found {
        match found {
            Ok(found) => found,
            Err(gone @ TapeError::NotRetained { .. }) => Found::Gone(gone.to_string()),
            Err(failed) => Found::Failed(failed.to_string()),
        }
    }

    fn find(&mut self, name: &str) -> Result<Found, TapeError> {
        match self.library.get(name).map(|entry| entry.state) {
            None => Ok(Found::Absent(format!("there is no recording {name:?}"))),
            Some(State::Preparing) => {
                let words = format!("recording {name:?} is still being read: try again soon");
                Ok(Found::Unready(words))
            }
            Some(State::Refused(reason)) => {
                Ok(Found::Unready(format!("recording {name:?} can't be replayed: {reason}")))
            }
            Some(State::Ready { tape, .. }) => self.open(&tape),
        }
    }

    fn open(&mut self, path: &Arc<PathBuf>) -> Result<Found, TapeError> {
        let tape = self.tape(path)?;
        let contents = Contents {
            folder: path.clone(),
            epoch: tape.epoch(),
            last_seq: tape.last_seq(),
            records: tape.records(),
            times: tape.index_times(),
            schemas: tape.schemas(),
            instruments: tape.instruments()?,
        };
        Ok(Found::Tape(Arc::new(contents)))
    }

    fn read(&mut self, path: &Arc<PathBuf>, from: From) -> Result<Found, TapeError> {
        if let Some(block) = self.kept_block(path, from) {
            return Ok(Found::Block(block));
        }
        let kept = self.kept_cursor(path, from);
        let mut cursor = kept.map_or_else(|| self.cursor(path, from), Ok)?;
        let mut block = cursor.next_block()?;
        // Until the recorder has its folder again there is nothing more.
        if block.is_none()
            && cursor.is_lost()
            && let Ok(anew) = self.cursor(path, from)
        {
            cursor = anew;
            block = cursor.next_block()?;
        }
        let expected = cursor.expected();
        push_bounded(&mut self.cursors, (path.clone(), cursor), DESK_CURSORS);
        let Some(block) = block else { return Ok(Found::End { expected }) };
        push_bounded(&mut self.blocks, (path.clone(), block.clone()), DESK_BLOCKS);
        Ok(Found::Block(block))
    }

    /// A new cursor that stands there.
    fn cursor(&mut self, path: &Arc<PathBuf>, from: From) -> Result<Cursor, TapeError> {
        let tape = self.tape(path)?;
        match from {
            From::After(seq) => tape.cursor_after(seq),
            From::At(time) => tape.cursor_at_time(time),
            From::Near(time) => tape.cursor_near(time),
        }
    }

    /// A block read lately that holds the record after a position.
    fn kept_block(&self, path: &Arc<PathBuf>, from: From) -> Option<Block> {
        let From::After(seq) = from else { return None };
        let holds = |block: &Block| block.prev_seq() <= seq && seq < block.last_seq();
        let mut found = self.blocks.iter().rev();
        found.find(|(of, block)| of == path && holds(block)).map(|(_, block)| block.clone())
    }

    /// A cursor that stands there.
    fn kept_cursor(&mut self, path: &Arc<PathBuf>, from: From) -> Option<Cursor> {
        let From::After(seq) = from else { return None };
        let stands = |(of, cursor): &(Arc<PathBuf>, Cursor)| {
            of == path && Some(cursor.expected()) == seq.checked_add(1)
        };
        let at = self.cursors.iter().rposition(stands)?;
        self.cursors.remove(at).map(|(_, cursor)| cursor)
    }

    /// The tape as it is now.
    fn tape(&mut self, path: &Arc<PathBuf>) -> Result<&Tape, TapeError> {
        let at = match self.tapes.iter().position(|(of, _)| of == path) {
            Some(at) => {
                self.tapes[at].1.refresh()?;
                at
            }
            None => {
                let tape = Tape::open(path.as_path())?;
                push_bounded(&mut self.tapes, (path.clone(), tape), DESK_TAPES);
                self.tapes.len() - 1
            }
        };
        Ok(&self.tapes[at].1)
    }
}

/// Keeps the newest.
fn push_bounded<T>(kept: &mut VecDeque<T>, new: T, most: usize) {
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(new);
}
