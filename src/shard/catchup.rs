//! Catching up: what a connection missed, from the ring while that has it, else from the tape.
//!
//! A shard never waits for a disk: it asks the desk for a block and goes on; the answer comes as a
//! command. What is read from the tape ends where the ring begins: there the connection reads the
//! ring, up to where the shard is, and joins its audience. So each record comes once, in order.
//!
//! A connection whose queue is full, and whose records must not be conflated, falls back: what has
//! not been begun is dropped, and it catches up from the last position that it was sent. Records of
//! subscriptions that do conflate wait meanwhile, as states, for the join.

use std::rc::Rc;

use crate::clock::{Now, unix_now};
use crate::limits::{CATCHUP_MAX, PIECE_BYTES, TAPE_RETRIES, TAPE_RETRY_READ};
use crate::ring::{Lost, Reader};
use crate::shard::Shard;
use crate::shard::cache::{self, Key};
use crate::shard::catalog::Catalog;
use crate::shard::command::{Command, Errand};
use crate::shard::connection::{Connection, Phase};
use crate::shard::course::{Course, Passage, Piece};
use crate::shard::encode::{Framer, Stamp, Texts};
use crate::shard::joining::Joining;
use crate::socket::shared::Shared;
use crate::socket::write::Engine;
use crate::tape::desk::{Found, From};
use crate::wire::batch;
use crate::wire::encoding::Encoding;
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::position::{Position, Start};
use crate::wire::record::{self, SCHEMAS, Schema};
use crate::wire::subscribe::Subscribe;

impl<E: Engine> Shard<E> {
    /// One piece of what a connection missed, or the join where nothing is left. False where it has
    /// to wait for the tape.
    pub(super) fn catch_up(&mut self, token: u32) -> bool {
        let Phase::Joining(joining) = &self.connections[token as usize].phase else {
            return false;
        };
        let Course::Ring(reader) = &joining.course else { return self.read_tape(token) };
        let (position, delay) = (reader.position(), joining.delay);
        let live = self.reader.position();
        if delay.is_zero() {
            match position >= live {
                true => self.go_live(token),
                false => self.read_ring(token, live),
            }
            return true;
        }
        let end = self.aged(delay).unwrap_or(position);
        // What it would read next may be overwritten: then it has to read on elsewhere.
        if end > position || reader.seq() + 1 < self.ring.oldest() {
            self.read_ring(token, end);
            return true;
        }
        self.rest(token);
        false
    }

    /// A piece of what the ring has, up to a position.
    fn read_ring(&mut self, token: u32, end: u64) {
        let Self { connections, piece, ring: _, .. } = self;
        let connection = &mut connections[token as usize];
        let Phase::Joining(joining) = &mut connection.phase else { return };
        let Course::Ring(reader) = &mut joining.course else { return };
        let before = reader.seq();
        let lost = reader.read_until(end, piece).lost;
        let last = reader.seq();
        if let Some(lost) = lost {
            if self.tape.is_some() {
                joining.course = Course::Tape(Passage::after(before));
                return;
            }
            self.tell_gap(token, lost, "not_retained");
        }
        let Self { connections, piece, texts, catalog, tally, epoch, .. } = self;
        let records = (0..piece.len()).map(|place| (piece.seq(place), piece.record(place)));
        let framing = Framing { epoch: *epoch, after: before, last, texts, catalog };
        let shared = framing.frame(&mut connections[token as usize], records);
        tally.records += shared.1;
        self.send_piece(token, shared.0);
    }

    /// A piece from the tape; false where there is none yet.
    fn read_tape(&mut self, token: u32) -> bool {
        let (newest, mono) = (self.reader.seq(), self.now.mono);
        let delay = self.connections[token as usize].delay();
        let until = if delay.is_zero() { u64::MAX } else { self.old_enough(delay) };
        let Some(passage) = self.passage(token) else { return false };
        if passage.asked || passage.retry.is_some_and(|at| mono < at) {
            return false;
        }
        if passage.is_dry() {
            let after = passage.seq();
            let reader = self.ring_from(after);
            let goes_on = reader.is_some();
            match reader {
                Some(reader) => self.set_course(token, Course::Ring(reader)),
                None => {
                    let asked = self.ask_tape(token, From::After(after), Errand::CatchUp);
                    if let Some(passage) = self.passage(token) {
                        passage.asked = asked;
                    }
                }
            }
            return goes_on;
        }
        if let Some((from_seq, to_seq)) = passage.take_hole() {
            self.tell_gap(token, Lost { from_seq, to_seq }, "not_recorded");
            return true;
        }
        // What the shard has not come to is not sent before it has.
        let before = passage.seq();
        let Some(piece) = passage.take(newest, until, PIECE_BYTES) else {
            self.rest(token);
            return false;
        };
        let Self { connections, texts, catalog, tally, epoch, .. } = self;
        let framing = Framing { epoch: *epoch, after: before, last: piece.last, texts, catalog };
        let (shared, numbered) =
            framing.frame(&mut connections[token as usize], Piece::iter(&piece));
        tally.records += numbered;
        self.send_piece(token, shared);
        true
    }

    fn send_piece(&mut self, token: u32, shared: Shared) {
        self.connections[token as usize].backlog.push_shared(&Rc::new(shared), 0);
        self.heat(token);
    }

    /// A reader of what follows a position, where the ring has that and the shard has come to it.
    fn ring_from(&self, after: u64) -> Option<Reader> {
        self.ring.reader_after(after).ok().filter(|reader| reader.seq() <= self.reader.seq())
    }

    /// The way on from a position: the ring where it has what follows, else the tape.
    pub(super) fn course_after(&self, after: u64) -> Course {
        let reader = self.ring_from(after).map(Course::Ring);
        reader.unwrap_or_else(|| Course::Tape(Passage::after(after)))
    }

    /// Its way through the tape, where it is on one.
    fn passage(&mut self, token: u32) -> Option<&mut Passage> {
        match &mut self.connections[token as usize].phase {
            Phase::Joining(joining) => match &mut joining.course {
                Course::Tape(passage) => Some(passage),
                Course::Ring(_) => None,
            },
            _ => None,
        }
    }

    fn set_course(&mut self, token: u32, course: Course) {
        if let Phase::Joining(joining) = &mut self.connections[token as usize].phase {
            joining.course = course;
        }
    }

    /// Asks the desk; false where it can't take more questions now.
    fn ask_tape(&self, token: u32, from: From, errand: Errand) -> bool {
        let Some(tape) = &self.tape else { return false };
        let (mailbox, session) = (self.mailbox.clone(), self.connections[token as usize].session);
        let reply = Box::new(move |found| {
            mailbox.insist(Command::Read { token, session, errand, found });
        });
        tape.desk.ask(&tape.folder, from, reply).is_ok()
    }

    /// The desk has read something for a connection, which may be gone.
    pub(super) fn tape_read(&mut self, token: u32, session: u64, errand: Errand, found: Found) {
        let Some(connection) = self.connections.get_mut(token as usize) else { return };
        if connection.session != session || connection.is_closing() {
            return;
        }
        match errand {
            Errand::Locate => self.located(token, found),
            Errand::CatchUp => self.block_read(token, found),
            Errand::Replay(id, read) => self.replay_read(token, (id, read), found),
        }
    }

    fn block_read(&mut self, token: u32, found: Found) {
        let now = self.now.mono;
        let Phase::Joining(joining) = &mut self.connections[token as usize].phase else { return };
        let Course::Tape(passage) = &mut joining.course else { return };
        joining.progress = now;
        passage.asked = false;
        match found {
            Found::Block(block) => passage.fill(&block),
            // The recorder may be about to write it.
            Found::End { .. } if passage.tries < TAPE_RETRIES => {
                passage.tries += 1;
                passage.retry = Some(now + TAPE_RETRY_READ);
            }
            Found::End { .. } => self.skip_to_ring(token, "not_recorded"),
            Found::Derived { .. } | Found::Tape(_) | Found::Absent(_) | Found::Unready(_) => {}
            Found::Gone(_) => self.skip_to_ring(token, "not_retained"),
            Found::Failed(reason) => {
                tracing::error!(%reason, "what a client missed can't be read");
                self.skip_to_ring(token, "tape_unreadable");
            }
        }
    }

    /// Goes on with the oldest record of the ring, and says what is left out.
    fn skip_to_ring(&mut self, token: u32, reason: &'static str) {
        let Phase::Joining(joining) = &self.connections[token as usize].phase else { return };
        let after = joining.course.seq();
        let oldest = self.ring.reader_after(self.ring.oldest() - 1).ok();
        let behind = |reader: &Reader| reader.seq() <= self.reader.seq();
        let reader = oldest.filter(behind).unwrap_or_else(|| self.reader.clone());
        let to_seq = reader.seq();
        self.set_course(token, Course::Ring(reader));
        if to_seq > after {
            self.tell_gap(token, Lost { from_seq: after + 1, to_seq }, reason);
        }
    }

    /// Connections that read the tape.
    fn on_tape(&self) -> usize {
        let on_tape = |token: &&u32| match &self.connections[**token as usize].phase {
            Phase::Joining(joining) => matches!(joining.course, Course::Tape(_)),
            _ => false,
        };
        self.joining.iter().filter(on_tape).count()
    }

    /// May one more connection read the tape?
    pub(super) fn has_room_on_tape(&self) -> bool {
        self.tape.is_some() && self.on_tape() < CATCHUP_MAX
    }

    /// Drops what a connection has not been sent, and has it catch up from there. It is in no
    /// audience any more.
    pub(super) fn fall_back(&mut self, token: u32, now: Now) {
        let Self { connections, audiences, .. } = self;
        let connection = &mut connections[token as usize];
        connection.leave(token, audiences);
        let mut lost = Vec::new();
        connection.backlog.drop_data(|key| lost.push(key));
        connection.take_back(&lost);
        let after = connection.backlog.cursor_before_loss();
        self.tally.fell_back += 1;
        self.catch_up_from(token, after, now);
    }

    /// Has a connection that is in no audience catch up from a position, at its own speed.
    pub(super) fn catch_up_from(&mut self, token: u32, after: u64, now: Now) {
        let course = self.course_after(after);
        let joining = Joining::new(Default::default(), course, true, now.mono);
        let joining = Joining { slow: true, ..joining };
        self.begin_joining(token, joining, now);
    }

    /// Has the tape looked through for the position that a subscribe wants to start from, where the
    /// ring does not have it; false where that is not so, or has been done.
    pub(super) fn locate(&mut self, token: u32, wishes: &[Subscribe]) -> bool {
        let Some(start) = self.wanted_start(token, wishes) else { return false };
        if self.connections[token as usize].located.is_some() || !self.has_room_on_tape() {
            return false;
        }
        let from = match start {
            Start::After(Position { epoch, seq }) => {
                let here = epoch == self.epoch && seq <= self.reader.seq();
                if !here || self.ring.reader_after(seq).is_ok() {
                    return false;
                }
                From::After(seq)
            }
            Start::At(time) if self.ring.reader_at_time(time).is_ok() => return false,
            Start::At(time) => From::At(time),
        };
        let asked = self.ask_tape(token, from, Errand::Locate);
        if asked {
            self.connections[token as usize].located = Some(Box::new(Located::Asked));
        }
        asked
    }

    /// What a position came to: the request that wants it goes on.
    fn located(&mut self, token: u32, found: Found) {
        let gone = |words| Located::Not(ControlError::new(ErrorCode::NotRetained, words));
        let located = match found {
            Found::Block(block) => {
                let mut passage = Passage::after(block.first_seq() - 1);
                passage.fill(&block);
                Located::At(passage)
            }
            Found::End { expected } => Located::At(Passage::after(expected - 1)),
            Found::Gone(words) => gone(words),
            Found::Derived { .. } | Found::Tape(_) | Found::Absent(_) | Found::Unready(_) => {
                return;
            }
            Found::Failed(words) => Located::Not(ControlError::new(ErrorCode::Internal, words)),
        };
        self.connections[token as usize].located = Some(Box::new(located));
        self.grant_deferred(token, self.now);
        // The request may have been refused before it came to that.
        let located = &mut self.connections[token as usize].located;
        located.take_if(|located| !matches!(**located, Located::Asked));
    }

    /// What [`Shard::locate`] found for the request that is being granted.
    pub(super) fn take_located(
        &mut self,
        token: u32,
        start: Start,
    ) -> Option<Result<Course, ControlError>> {
        let located = self.connections[token as usize].located.take()?;
        match *located {
            Located::Asked => None,
            Located::Not(error) => Some(Err(error)),
            Located::At(mut passage) => {
                if let Start::After(Position { seq, .. }) = start {
                    passage.go_to(seq);
                }
                Some(Ok(Course::Tape(passage)))
            }
        }
    }
}

/// A position that is looked for on the tape.
pub enum Located {
    /// The desk has been asked.
    Asked,
    /// It is here.
    At(Passage),
    /// It is nowhere.
    Not(ControlError),
}

/// What frames records for one connection needs to know besides.
struct Framing<'a> {
    epoch: u64,
    after: u64,
    last: u64,
    texts: &'a mut Texts,
    catalog: &'a Catalog,
}

impl Framing<'_> {
    /// Frames what the connection asked for of these records, and counts it: the frames, and how
    /// many records with a number they hold.
    fn frame<'r>(
        self,
        connection: &mut Connection,
        records: impl Iterator<Item = (u64, &'r [u8])>,
    ) -> (Shared, u64) {
        let Self { epoch, after, last, texts, catalog } = self;
        let encoding = connection.encoding();
        let stamp = Stamp { epoch, ts_send: unix_now(), flags: flags(connection), last };
        let (mut bytes, mut marks, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut framer = Framer::new(encoding, stamp, &mut bytes, &mut marks);
        for (seq, record) in records {
            let index = catalog.index(record::instrument_id(record));
            let schema = record::schema_of(record::rtype_of(record));
            let key = index.and_then(|index| match schema {
                Some(schema) => wanted(connection, schema, index, record::is_tbbo(record)),
                None => wanted_mapping(connection, index),
            });
            let Some(key) = key else { continue };
            keys.push(key);
            match encoding {
                Encoding::Dbn => framer.push(record, seq),
                Encoding::Json => framer.push(texts.scratch(record, key, catalog), seq),
            }
        }
        framer.finish(false);
        let numbered = keys.iter().filter(|key| cache::parts(**key).0 < SCHEMAS).count() as u64;
        if let Phase::Joining(joining) = &mut connection.phase {
            joining.records += numbered;
        }
        (Shared { bytes: bytes.into(), marks, keys, after }, numbered)
    }
}

/// The flags of what a joining connection is sent.
fn flags(connection: &Connection) -> u8 {
    let Phase::Joining(joining) = &connection.phase else { return 0 };
    let resumed = if joining.resumed { batch::CATCH_UP } else { 0 };
    let conflated = if connection.conflates() && !joining.slow { batch::CONFLATED } else { 0 };
    resumed | conflated
}

/// The key under which a connection is to be sent a record, where it is; it is counted then.
fn wanted(connection: &mut Connection, schema: Schema, index: u32, tbbo: bool) -> Option<Key> {
    let keys = [cache::key(Schema::Tbbo, index), cache::key(schema, index)];
    let keys = if tbbo { &keys[..] } else { &keys[1..] };
    let asked = |key: &&Key| connection.subscriptions.iter().any(|s| s.asks_for(**key));
    let key = keys.iter().find(asked).copied()?;
    connection.take(keys).then_some(key)
}

/// The key of a mapping, where anything of its instrument is asked for.
fn wanted_mapping(connection: &Connection, index: u32) -> Option<Key> {
    let mut interests = connection.subscriptions.iter().flat_map(|s| s.interests());
    interests.any(|i| i.has_instrument(index)).then(|| cache::mapping_key(index))
}
