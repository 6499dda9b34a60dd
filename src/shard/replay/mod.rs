//! Replays with control: a client has a recording sent, at its pace or another, paused, stepped,
//! sent elsewhere, and at its end goes on into the live stream, all on one connection and beside
//! its live subscriptions.
//!
//! What is due is framed as the socket takes it, a bounded piece of each replay in a turn; what was
//! framed is sent before the answer to whatever comes next, so that nothing follows the answer to a
//! pause.

mod derived;
mod play;

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

pub(super) use play::{Place, Play};

use self::derived::{Derived, Offer};
use self::play::Pause;
use crate::clock::{Now, UnixNanos, unix_now};
use crate::limits::{CATCHUP_PER_TURN, RECORDING_LIVE, REPLAYS_MAX, TAPE_RETRY_READ};
use crate::shard::Shard;
use crate::shard::catalog::Catalog;
use crate::shard::command::{Command, Errand};
use crate::shard::connection::Connection;
use crate::shard::course::{Passage, Roster};
use crate::shard::encode::{Framer, Stamp};
use crate::shard::entitle;
use crate::shard::interest::Interest;
use crate::shard::joining::{Joining, Snapshot};
use crate::shard::subscribe::answer_to;
use crate::socket::write::Engine;
use crate::tape::desk::{Contents, Found, From};
use crate::wire::batch;
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::instrument::Directory;
use crate::wire::message;
use crate::wire::position::Position;
use crate::wire::replay::{self, Control, Granted, Replay, Then};
use crate::wire::request::{Method, Request};
use crate::wire::subscribe::Subscribe;

/// What clients are told of a recording that the disk does not give.
const UNREADABLE: &str = "the recording can't be read there; the server's log says why";

/// A recording that was opened for a replay: what it holds, and its instruments.
pub struct Opened {
    contents: Arc<Contents>,
    catalog: Arc<Catalog>,
}

impl Opened {
    /// Done where the tape is read: there may be thousands of instruments. Replays of a tape that
    /// names the same ones share their catalog.
    fn new(contents: Arc<Contents>, roster: &Roster) -> Self {
        let mut kept = roster.lock().unwrap_or_else(PoisonError::into_inner);
        let same = kept.upgrade().filter(|catalog| catalog.holds(&contents.instruments));
        let catalog = same.unwrap_or_else(|| {
            let directory = Arc::new(Directory::default());
            for instrument in &contents.instruments {
                // One that is named wrongly or twice is left out; its records are for nobody.
                let _ = directory.register(instrument.clone());
            }
            Arc::new(Catalog::new(directory))
        });
        *kept = Arc::downgrade(&catalog);
        Self { contents, catalog }
    }
}

/// What the desk says of a recording that was to be opened.
fn opened(found: Found, roster: &Roster) -> Result<Opened, ControlError> {
    let (code, words) = match found {
        Found::Tape(contents) => return Ok(Opened::new(contents, roster)),
        Found::Absent(words) => (ErrorCode::UnknownRecording, words),
        Found::Unready(words) => (ErrorCode::WrongState, words),
        Found::Gone(reason) | Found::Failed(reason) => {
            // Where the server keeps it is not for clients.
            tracing::error!(%reason, "a recording can't be opened");
            (ErrorCode::Internal, UNREADABLE.to_owned())
        }
        Found::Block(_) | Found::Derived { .. } | Found::End { .. } => {
            (ErrorCode::Internal, "it can't be opened".to_owned())
        }
    };
    Err(ControlError::new(code, words))
}

impl<E: Engine> Shard<E> {
    /// Takes a wish for a replay: the recording is opened first, and the answer comes with it.
    pub(in crate::shard) fn begin_replay(
        &mut self,
        token: u32,
        request: &Request,
        wish: &Replay,
        time_in: UnixNanos,
    ) -> Result<(), ControlError> {
        let connection = &self.connections[token as usize];
        entitle::check_replay(connection.rights(), wish, self.now.unix)?;
        entitle::given_schemas(connection.rights(), wish.schemas)?;
        let wrong = |words: &str| ControlError::new(ErrorCode::WrongState, words.to_owned());
        if connection.replay.is_some() || connection.opening.is_some() {
            return Err(wrong("a replay runs on this connection: stop it first"));
        }
        if wish.then == Then::Live && !connection.subscriptions.is_empty() {
            let words = "then live needs a connection without live subscriptions";
            return Err(wrong(words));
        }
        if self.replaying.len() >= REPLAYS_MAX {
            let words = format!("{REPLAYS_MAX} replays run already: come back later");
            return Err(ControlError::new(ErrorCode::TooManyRequests, words));
        }
        self.open_recording(token, &wish.recording)?;
        self.connections[token as usize].opening = Some(Box::new((request.clone(), time_in)));
        Ok(())
    }

    /// Has a recording opened where recordings are read.
    fn open_recording(&self, token: u32, name: &str) -> Result<(), ControlError> {
        let (mailbox, session) = (self.mailbox.clone(), self.connections[token as usize].session);
        let reply = |roster: Roster| {
            Box::new(move |found| {
                let opened = opened(found, &roster);
                mailbox.insist(Command::Opened { token, session, opened });
            })
        };
        let asked = match (&self.tape, &self.shelf) {
            (Some(tape), _) if name == RECORDING_LIVE => {
                tape.desk.open(&tape.folder, reply(tape.roster.clone()))
            }
            (_, Some(shelf)) if name != RECORDING_LIVE => {
                shelf.desk.find(name, reply(shelf.roster.clone()))
            }
            _ => {
                let words = format!("there is no recording {name:?}");
                return Err(ControlError::new(ErrorCode::UnknownRecording, words));
            }
        };
        asked.map_err(|full| ControlError::new(ErrorCode::TooManyRequests, full.to_string()))
    }

    /// The recording that a client wants replayed has been opened.
    pub(in crate::shard) fn opened(
        &mut self,
        token: u32,
        session: u64,
        opened: Result<Opened, ControlError>,
    ) {
        let there = |c: &&mut Connection| c.session == session && !c.is_closing();
        let connection = self.connections.get_mut(token as usize).filter(there);
        let Some(opening) = connection.and_then(|c| c.opening.take()) else { return };
        let (request, time_in) = *opening;
        let Method::Replay(wish) = &request.method else { return };
        let granted = opened.and_then(|opened| self.play_of(token, wish, &opened));
        match granted {
            Err(error) => self.refuse(token, &request, time_in, &error),
            Ok((play, granted)) => {
                let id = play.id;
                self.connections[token as usize].replay = Some(Box::new(play));
                self.replaying.push(token);
                self.make_alarm();
                self.tell(token, |out| answer_to(&request, time_in).replay(&granted, out));
                self.begin_pass(token, id);
            }
        }
        self.grant_deferred(token, self.now);
    }

    fn play_of(
        &mut self,
        token: u32,
        wish: &Replay,
        opened: &Opened,
    ) -> Result<(Play, Granted), ControlError> {
        let Opened { contents, catalog } = opened;
        let rights = self.connections[token as usize].rights();
        // It may have other rights by now than when it asked.
        entitle::check_replay(rights, wish, self.now.unix)?;
        let schemas = entitle::given_schemas(rights, wish.schemas)?;
        let mut interest = Interest { schemas, ..Interest::default() };
        let given = rights.and_then(|rights| rights.symbols.as_ref());
        let rejected = catalog.ask(&wish.symbols, given, &mut interest);
        if !interest.all && interest.instruments.is_empty() {
            return Err(entitle::none_of(&rejected, "the recording has no"));
        }
        let bounds = rights.map(|rights| (rights.history, rights.delay));
        let live = wish.then == Then::Live;
        if live {
            // What can't be had live is said before, not after.
            self.plan(token, &live_wish(wish))?;
        }
        let own = wish.recording == RECORDING_LIVE;
        let desk = if own {
            self.tape.as_ref().map(|tape| &tape.desk)
        } else {
            self.shelf.as_ref().map(|shelf| &shelf.desk)
        };
        // What is recorded goes on live as it is recorded.
        let grows = live && own;
        let offer = if grows { Offer::default() } else { Offer::of(wish, contents)? };
        let derived = match offer.derived {
            0 => None,
            some => Some(Derived::new((wish, some), (contents, catalog), &interest, desk)?),
        };
        let place = Place::new(contents, desk.cloned(), (own, grows));
        let connection = &mut self.connections[token as usize];
        let id = connection.next_replay;
        connection.next_replay += 1;
        let mut play = Play::new(id, wish.clone(), place, catalog.clone(), interest);
        play.bound(bounds);
        play.derived = derived;
        if live {
            play.subscription = Some(connection.next_id);
            connection.next_id += 1;
        }
        let span = contents.times.map(|(start, end)| (start.max(wish.start), end.min(wish.end)));
        let granted = Granted {
            replay: id,
            span: span.filter(|(start, end)| start <= end),
            records: contents.records,
            subscription: play.subscription,
            derived: offer.derived,
            missing: offer.missing,
        };
        Ok((play, granted))
    }

    /// Begins a pass from the start of what was asked for.
    fn begin_pass(&mut self, token: u32, id: u32) {
        let Some(play) = &mut self.connections[token as usize].replay else { return };
        play.passes += 1;
        play.before = play.records;
        play.seek(play.wish.start);
        let pass = play.passes;
        self.tell(token, |out| replay::started(id, pass, out));
    }

    /// Does what a client tells its replay.
    pub(in crate::shard) fn control_replay(
        &mut self,
        token: u32,
        request: &Request,
        control: Control,
        meant: Option<u32>,
        time_in: UnixNanos,
    ) -> Result<(), ControlError> {
        let now = self.now.mono;
        let play = self.connections[token as usize].replay.as_mut();
        let play = play.filter(|play| meant.is_none_or(|id| id == play.id)).ok_or_else(|| {
            let words = match meant {
                Some(id) => format!("replay {id} does not run on this connection"),
                None => "no replay runs on this connection".to_owned(),
            };
            ControlError::new(ErrorCode::WrongState, words)
        })?;
        match control {
            Control::Pause => play.pause(),
            Control::Resume => play.resume(now),
            Control::Seek(time) => play.seek(time),
            Control::Speed(speed) => play.set_speed(speed, now),
            Control::Step(records) => play.step(records),
            Control::Stop => {}
        }
        let stops = control == Control::Stop;
        let state = play.state(stops);
        if stops {
            self.end_replay(token);
        }
        self.tell(token, |out| answer_to(request, time_in).replay_state(&state, out));
        Ok(())
    }

    /// Forgets a connection's replay.
    pub(in crate::shard) fn end_replay(&mut self, token: u32) {
        self.connections[token as usize].replay = None;
        self.replaying.retain(|replaying| *replaying != token);
    }

    /// Gets replays on, each by a bounded piece, and so many of them at most.
    pub(in crate::shard) fn advance_replays(&mut self, now: Now) -> usize {
        let replaying = std::mem::take(&mut self.replaying);
        let (mut turn, mut done) = (0, 0);
        let mut left = Vec::with_capacity(replaying.len());
        while turn < replaying.len() && done < CATCHUP_PER_TURN {
            let token = replaying[turn];
            turn += 1;
            done += usize::from(self.replay_on(token, now));
            if self.connections[token as usize].replay.is_some() {
                left.push(token);
            }
        }
        // Those that had no turn come first in the next one.
        self.replaying.extend_from_slice(&replaying[turn..]);
        self.replaying.append(&mut left);
        done
    }

    /// Gets one replay on; false where it has nothing to send now.
    fn replay_on(&mut self, token: u32, now: Now) -> bool {
        let Self { connections, texts, limits, .. } = self;
        let connection = &mut connections[token as usize];
        let full = connection.backlog.bytes() >= limits.queue / 4;
        let encoding = connection.encoding();
        let Some(play) = &mut connection.replay else { return false };
        let early = play.due.is_some_and(|due| due > now.mono);
        let waits = play.passage.asked || play.passage.retry.is_some_and(|at| at > now.mono);
        if full || early || waits {
            return false;
        }
        let epoch = u64::from(play.id);
        let stamp = Stamp { epoch, ts_send: unix_now(), flags: batch::REPLAY, last: u64::MAX };
        let (mut frames, mut marks, before) = (Vec::new(), Vec::new(), play.records);
        let mut framer = Framer::new(encoding, stamp, &mut frames, &mut marks);
        let pause = play.play(now, encoding, texts, &mut framer);
        framer.finish_at_last();
        play.due = if let Pause::Until(due) = pause { Some(due) } else { None };
        self.tally.replayed += play.records - before;
        let sent = !frames.is_empty();
        if sent {
            connection.backlog.push_own(frames.into());
            self.heat(token);
        }
        match pause {
            Pause::Dry => self.read_on(token),
            Pause::Over => self.pass_over(token, now),
            Pause::None => return true,
            Pause::Until(_) | Pause::Told => {}
        }
        sent
    }

    /// Has the next block read.
    fn read_on(&mut self, token: u32) {
        let connection = &self.connections[token as usize];
        let Some(play) = &connection.replay else { return };
        let Some(desk) = &play.place.desk else { return };
        let begun = play.passage.is_set();
        let (mailbox, session, read) = (self.mailbox.clone(), connection.session, play.reads + 1);
        let errand = Errand::Replay(play.id, read);
        let reply = Box::new(move |found| {
            mailbox.insist(Command::Read { token, session, errand, found });
        });
        let asked = match &play.derived {
            Some(derived) => {
                let from = (!begun).then(|| play.from());
                desk.workshop.ask(&derived.plan, from, reply)
            }
            None if begun => desk.ask(&play.place.folder, From::After(play.passage.seq()), reply),
            None => desk.ask(&play.place.folder, From::Near(play.from()), reply),
        };
        if let Some(play) = &mut self.connections[token as usize].replay {
            play.passage.asked = asked.is_ok();
            play.reads = read;
        }
    }

    /// The desk has read something for a replay.
    pub(in crate::shard) fn replay_read(
        &mut self,
        token: u32,
        (id, read): (u32, u64),
        found: Found,
    ) {
        let now = self.now;
        let Some(play) = &mut self.connections[token as usize].replay else { return };
        // What was asked before it was sent elsewhere is of no use.
        let awaited = (play.id, play.reads) == (id, read) && play.passage.asked;
        play.passage.asked &= !awaited;
        if !awaited {
            return;
        }
        match found {
            Found::Block(block) => {
                if !play.passage.is_set() {
                    play.passage = Passage::after(block.first_seq() - 1);
                }
                play.passage.fill(&block);
                // What is not on the tape is no part of the recording.
                play.passage.take_hole();
            }
            Found::End { expected }
                if !play.place.own || play.wish.end == u64::MAX || play.wish.then != Then::Live =>
            {
                if !play.passage.is_set() {
                    play.passage = Passage::after(expected - 1);
                }
                self.pass_over(token, now);
            }
            Found::End { .. } => play.passage.retry = Some(now.mono + TAPE_RETRY_READ),
            Found::Derived { records, over } => play.take_derived(records, over),
            Found::Unready(words) => {
                self.break_off(token, &ControlError::new(ErrorCode::TooManyRequests, words));
            }
            Found::Tape(_) | Found::Absent(_) => {}
            Found::Gone(words) | Found::Failed(words) => {
                tracing::error!(reason = %words, "a replay can't go on");
                self.break_off(token, &ControlError::new(ErrorCode::Internal, UNREADABLE));
            }
        }
    }

    /// A replay can't go on: it ends, and its client is told why.
    fn break_off(&mut self, token: u32, error: &ControlError) {
        self.tell_error(token, error);
        self.end_replay(token);
    }

    /// A pass is over: what the client wants to follow, follows.
    fn pass_over(&mut self, token: u32, now: Now) {
        let Some(play) = &self.connections[token as usize].replay else { return };
        let after = self.live_after(play);
        let at = Position { epoch: self.epoch, seq: after };
        let (id, completed, sent) = (play.id, play.completed(at), play.records - play.before);
        self.tell(token, |out| completed.write(out));
        match completed.then {
            // One that brings nothing would go round for ever without a pause.
            Then::Loop if sent > 0 => self.begin_pass(token, id),
            Then::Loop | Then::Stop => self.end_replay(token),
            Then::Live => self.go_on_live(token, after, now),
        }
    }

    /// After which number the live stream goes on: behind the last record that was replayed, where
    /// the recording is of this stream; else here and now.
    fn live_after(&self, play: &Play) -> u64 {
        if play.place.own { play.passage.seq() } else { self.reader.seq() }
    }

    /// The replay's schemas and symbols become a live subscription, from the record after this one.
    fn go_on_live(&mut self, token: u32, after: u64, now: Now) {
        let Some(play) = self.connections[token as usize].replay.take() else { return };
        self.end_replay(token);
        let Some(subscription) = play.subscription else { return };
        let plan = match self.plan(token, &live_wish(&play.wish)) {
            Ok(plan) => plan,
            Err(error) => {
                return self.tell(token, |out| message::error(&error, now.unix, out));
            }
        };
        let known = self.catalog.count();
        let Self { connections, audiences, progress, id, .. } = self;
        let connection = &mut connections[token as usize];
        connection.leave(token, audiences);
        connection.subscribe(subscription, plan.interest, plan.policy);
        progress.of(*id).join();
        let mappings = Snapshot::of_mappings(subscription, after, known);
        let course = self.course_after(after);
        let delay = self.connections[token as usize].delay();
        let joining = Joining::new(VecDeque::from([mappings]), course, true, now.mono);
        self.begin_joining(token, Joining { delay, ..joining }, now);
    }

    /// When the next record of a replay is due.
    pub(in crate::shard) fn next_replay_due(&self) -> Option<Instant> {
        let plays = self
            .replaying
            .iter()
            .filter_map(|token| self.connections.get(*token as usize)?.replay.as_ref()?.due);
        plays.min()
    }
}

/// What is asked of the live stream once a replay is over.
fn live_wish(wish: &Replay) -> Subscribe {
    Subscribe {
        schemas: wish.schemas,
        symbols: wish.symbols.clone(),
        snapshot: false,
        start: None,
        policy: None,
        max_rate: None,
    }
}
