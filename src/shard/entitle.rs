//! What of a wish a grant gives: held against it once, when it is asked for, so that nothing else
//! ever reaches the connection, instruments that come later included.

use std::sync::Arc;

use crate::clock::UnixNanos;
use crate::shard::Shard;
use crate::shard::catalog::Rejected;
use crate::shard::connection::Farewell;
use crate::shard::course::Course;
use crate::shard::interest::Interest;
use crate::shard::subscription::Subscription;
use crate::socket::write::Engine;
use crate::wire::close::CloseReason;
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::grant::{Rights, Scope};
use crate::wire::instrument::schemas_of;
use crate::wire::message;
use crate::wire::position::Start;
use crate::wire::record;
use crate::wire::replay::Replay;

/// A refusal for want of an entitlement.
pub(super) fn not_entitled(words: impl Into<String>) -> ControlError {
    ControlError::new(ErrorCode::NotEntitled, words.into())
}

/// Of schemas that are asked for (all of them: whatever there is), those that come.
///
/// # Errors
/// Where some that are named do not.
pub(super) fn given_schemas(rights: Option<&Rights>, asked: u32) -> Result<u32, ControlError> {
    let given = rights.map_or(u32::MAX, |rights| rights.schemas);
    let missing = asked & !given;
    match asked {
        u32::MAX if given != 0 => Ok(given),
        u32::MAX => Err(not_entitled("no schema is given to this subject")),
        _ if missing == 0 => Ok(asked),
        _ => {
            let names: Vec<&str> = schemas_of(missing).map(|schema| schema.as_str()).collect();
            Err(not_entitled(format!("not given to this subject: schema {}", names.join(", "))))
        }
    }
}

/// The rate that comes of one that is asked for.
///
/// # Errors
/// Where a delayed feed is asked for newest states.
pub(super) fn given_rate(rights: Option<&Rights>, asked: Option<u32>) -> Result<u32, ControlError> {
    let Some(rights) = rights else { return Ok(asked.unwrap_or(0)) };
    if asked.is_some() && !rights.delay.is_zero() {
        let words = "this feed is delayed, which has every record: ask without max_rate";
        return Err(ControlError::new(ErrorCode::WrongState, words));
    }
    let least = asked.into_iter().chain(rights.max_rate).min();
    Ok(least.unwrap_or(0))
}

/// A replay has to be given, and to begin no earlier than history reaches.
pub(super) fn check_replay(
    rights: Option<&Rights>,
    wish: &Replay,
    now: UnixNanos,
) -> Result<(), ControlError> {
    let Some(rights) = rights else { return Ok(()) };
    match () {
        () if !rights.replay => Err(not_entitled("replay is not given to this subject")),
        () if wish.start > 0 && wish.start < rights.since(now) => Err(too_early(rights)),
        () => Ok(()),
    }
}

fn too_early(rights: &Rights) -> ControlError {
    not_entitled(format!("history of {} s is given to this subject", rights.history.as_secs()))
}

/// Does an interest lie within rights? Those it had before are left out of it; a pattern is bounded
/// by them from now on.
fn covers(rights: &Rights, interest: &Interest, symbol: impl Fn(u32) -> String) -> bool {
    let rate = |most: u32| (1..=most).contains(&interest.max_rate);
    let paced = rights.max_rate.is_none_or(rate);
    let named = |scope: &Arc<Scope>| {
        !interest.all && interest.instruments.iter().all(|index| scope.allows(&symbol(*index)))
    };
    interest.schemas & !rights.schemas == 0 && paced && rights.symbols.as_ref().is_none_or(named)
}

impl<E: Engine> Shard<E> {
    /// Does what a course begins with lie within the history that is given?
    pub(super) fn check_depth(
        &self,
        token: u32,
        start: Start,
        course: &Course,
    ) -> Result<(), ControlError> {
        let Some(rights) = self.connections[token as usize].rights() else { return Ok(()) };
        let since = rights.since(self.now.unix);
        let within = match (start, course) {
            (Start::At(time), _) => time >= since,
            (Start::After(_), Course::Ring(reader)) => {
                self.ring.reader_at_time(since).is_ok_and(|first| reader.seq() >= first.seq())
                    || self.ring.reader_at_time(since).is_err()
            }
            (Start::After(_), Course::Tape(passage)) => {
                passage.peek().is_none_or(|(_, record)| record::ts_out(&record) >= since)
            }
        };
        if within { Ok(()) } else { Err(too_early(rights)) }
    }

    /// A connection has other rights than before: what they do not give ends, and is told.
    pub(super) fn bound(&mut self, token: u32, before: &Rights, rights: &Rights) {
        let moved = before.delay != rights.delay;
        let Self { connections, audiences, catalog, .. } = self;
        let connection = &mut connections[token as usize];
        connection.leave(token, audiences);
        let symbol = |index: u32| catalog.get(index).symbol.clone();
        let ends = |subscription: &mut Subscription| {
            let mut interests = subscription.interests();
            moved || !interests.all(|interest| covers(rights, interest, symbol))
        };
        let ended: Vec<Subscription> = connection.subscriptions.extract_if(.., ends).collect();
        for share in connection.subscriptions.iter_mut().flat_map(|s| &mut s.shares) {
            if !share.interest.patterns.is_empty() {
                share.interest.within = rights.symbols.clone();
            }
        }
        // What is queued for what has ended was entitled when it was framed.
        connection.backlog.seal();
        let replay_ends = connection.replay.as_ref().is_some_and(|play| {
            let within = play.covered(|interest, symbol| covers_all(rights, interest, symbol));
            moved || !rights.replay || !within || rights.history < before.history
        });
        if connection.subscriptions.is_empty() && !ended.is_empty() {
            self.progress.of(self.id).leave();
        }
        let over = replay_ends || !ended.is_empty();
        for subscription in ended {
            let words = format!("subscription {} is not given any more: it ended", subscription.id);
            self.tally.ended = self.tally.ended.plus(subscription.counted());
            self.tell_error(token, &not_entitled(words));
        }
        if replay_ends {
            self.end_replay(token);
            self.tell_error(token, &not_entitled("the replay is not given any more: it ended"));
        }
        self.rejoin(token);
        self.grant_deferred(token, self.now);
        // Where only the delay is another, it may ask for the same again.
        if over && !moved && self.connections[token as usize].is_idle() {
            let words = "nothing of what it asked for is given any more";
            self.leaving.push((token, Farewell::new(CloseReason::NotEntitled, words)));
        }
    }

    /// Tells a connection of an error that is tied to no request.
    pub(super) fn tell_error(&mut self, token: u32, error: &ControlError) {
        self.tally.refuse(error.code.reason());
        let now = self.now.unix;
        self.tell(token, |out| message::error(error, now, out));
    }
}

/// As [`covers`], of a replay, which knows no rate.
fn covers_all(rights: &Rights, interest: &Interest, symbol: &dyn Fn(u32) -> String) -> bool {
    covers(&Rights { max_rate: None, ..rights.clone() }, interest, symbol)
}

/// Nothing is left of what was asked for: because nothing of it is given, or there is none.
pub(super) fn none_of(rejected: &[Rejected], unknown: &str) -> ControlError {
    let of = |code| rejected.iter().filter(move |(_, why)| *why == code);
    let names = |code| of(code).map(|(name, _)| name.clone()).collect::<Vec<_>>();
    match names(ErrorCode::NotEntitled) {
        none if none.is_empty() => {
            let words = format!("{unknown} {}", some_of(&names(ErrorCode::UnknownSymbol)));
            ControlError::new(ErrorCode::UnknownSymbol, words)
        }
        refused => not_entitled(format!("not given to this subject: {}", some_of(&refused))),
    }
}

/// Names for a message, which has to fit a frame however many there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 16;
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}
