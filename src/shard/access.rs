//! Who a connection is: how it came in, what its grant gives, until when.
//!
//! A signature costs more than a turn may take, so what a client says who it is by is judged by a
//! thread of the gate ([`Doorkeeper`]); its answer comes as a command. Until then the connection
//! has what it had: nothing but `auth` and `ping`, or what its grant before gave.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{Now, UnixNanos};
use crate::limits::{AUTH_ATTEMPTS, AUTH_TIMEOUT};
use crate::shard::Shard;
use crate::shard::command::Command;
use crate::shard::connection::{Connection, Farewell};
use crate::shard::subscribe::answer_to;
use crate::socket::write::Engine;
use crate::wire::close::CloseReason;
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::grant::{Grant, Rights, Secret, Standing};
use crate::wire::request::{Method, Request};

/// What a connection may, and its place among those of its subject.
pub struct Badge {
    /// What it may.
    pub grant: Arc<Grant>,
    /// Dropped with the connection.
    pub seat: Option<Box<dyn Any + Send>>,
}

impl fmt::Debug for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Badge").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// How a connection comes in.
#[derive(Debug)]
pub enum Entry {
    /// Nobody is asked who they are.
    Open,
    /// It has to say who it is.
    Unknown,
    /// It has said so at the handshake.
    Known(Badge),
}

/// What became of what a client says who it is by.
#[derive(Debug)]
pub enum Verdict {
    /// It is let in.
    Granted(Badge),
    /// It is not accepted.
    Failed,
    /// Its subject has this many connections, and may have no more.
    Full(u32),
}

/// What a client says who it is by, to be judged.
pub struct Question {
    /// The token or key.
    pub secret: Secret,
    /// The connection, for the log.
    pub session: u64,
    /// Whose seat the connection has: it may not become somebody else.
    pub seated: Option<String>,
    /// What is called with the verdict, on another thread.
    pub reply: Box<dyn FnOnce(Verdict) + Send>,
}

/// Who judges, on a thread of its own.
pub trait Doorkeeper: Send + Sync {
    /// Takes a question.
    ///
    /// # Errors
    /// [`Full`]: too many wait already.
    fn ask(&self, question: Question) -> Result<(), Full>;

    /// How long a connection may take to say who it is.
    fn patience(&self) -> Duration {
        AUTH_TIMEOUT
    }

    /// What keys are worth as of now.
    fn standing(&self) -> Arc<Standing>;
}

/// More questions wait than the doorkeeper takes.
#[derive(Clone, Copy, Debug)]
pub struct Full;

/// Who a connection is, where that is asked.
pub(super) struct Access {
    who: Who,
    /// Its request, while it is judged, and when that came.
    asked: Option<(Request, UnixNanos)>,
    /// Tokens of it that were wrong.
    failed: u8,
}

enum Who {
    /// It may take until then to say so.
    Unknown { until: Instant },
    /// It is this one, until then where that has an end.
    Known { badge: Badge, until: Option<Instant> },
}

impl Connection {
    /// Its grant, where it has one.
    pub(super) fn grant(&self) -> Option<&Arc<Grant>> {
        match &self.access.as_ref()?.who {
            Who::Known { badge, .. } => Some(&badge.grant),
            Who::Unknown { .. } => None,
        }
    }

    /// The rights that bound it; none where nothing does. Only for one that is not unknown.
    pub(super) fn rights(&self) -> Option<&Rights> {
        self.grant().map(|grant| &grant.rights)
    }

    /// Does it have to say first who it is?
    pub(super) fn is_unknown(&self) -> bool {
        self.access.as_ref().is_some_and(|access| matches!(access.who, Who::Unknown { .. }))
    }

    /// How late its records come.
    pub(super) fn delay(&self) -> Duration {
        self.rights().map_or(Duration::ZERO, |rights| rights.delay)
    }
}

/// When a grant ends on the clock that nobody sets.
fn end_of(grant: &Grant, now: Now) -> Option<Instant> {
    let left = Duration::from_nanos(grant.expires?.saturating_sub(now.unix));
    now.mono.checked_add(left)
}

impl<E: Engine> Shard<E> {
    /// How a new connection came in; false where it has to go at once.
    pub(super) fn enter(&mut self, token: u32, entry: Entry, now: Now) -> bool {
        let patience = self.door.as_ref().map_or(AUTH_TIMEOUT, |door| door.patience());
        let mut stands = Ok(());
        let who = match entry {
            Entry::Open => return true,
            Entry::Unknown => Who::Unknown { until: now.mono + patience },
            Entry::Known(mut badge) => {
                // It may have been revoked on its way here.
                stands = self.standing.judge(&badge.grant);
                badge.grant = self.present(badge.grant);
                let until = end_of(&badge.grant, now);
                Who::Known { badge, until }
            }
        };
        let access = Access { who, asked: None, failed: 0 };
        self.connections[token as usize].access = Some(Box::new(access));
        if let Err(words) = stands {
            self.leaving.push((token, Farewell::new(CloseReason::AuthRevoked, words)));
        }
        stands.is_ok()
    }

    /// Takes a request of a connection that has not said who it is: refused, but for a few.
    pub(super) fn knows(&self, token: u32, method: &Method) -> Result<(), ControlError> {
        let free = matches!(method, Method::Auth { .. } | Method::Ping { .. });
        match self.connections[token as usize].is_unknown() && !free {
            false => Ok(()),
            true => {
                let words = "say first who you are: auth with a token or an API key";
                Err(ControlError::new(ErrorCode::NotAuthenticated, words))
            }
        }
    }

    /// Has what a client says who it is by judged; the answer comes with the verdict.
    pub(super) fn begin_auth(
        &mut self,
        token: u32,
        request: &Request,
        secret: &Secret,
        time_in: UnixNanos,
    ) -> Result<(), ControlError> {
        let wrong = |words: &'static str| Err(ControlError::new(ErrorCode::WrongState, words));
        let connection = &mut self.connections[token as usize];
        let session = connection.session;
        let seated = connection.grant().map(|grant| grant.subject.clone());
        let (Some(door), Some(access)) = (&self.door, &mut connection.access) else {
            return wrong("this server asks nobody who they are");
        };
        if access.asked.is_some() {
            return wrong("a token of this connection is being judged: wait for the answer");
        }
        let mailbox = self.mailbox.clone();
        let reply = Box::new(move |verdict| {
            mailbox.insist(Command::Judged { token, session, verdict });
        });
        let question = Question { secret: secret.clone(), session, seated, reply };
        door.ask(question).map_err(|_| {
            let words = "many tokens are being judged: ask again in a moment";
            ControlError::new(ErrorCode::TooManyRequests, words)
        })?;
        // The token has gone where it is needed; it is not kept here.
        let method = Method::Auth { token: Secret::new(String::new()) };
        access.asked = Some((Request { id: request.id.clone(), method }, time_in));
        Ok(())
    }

    /// The verdict on what a client said who it is by.
    pub(super) fn judged(&mut self, token: u32, session: u64, verdict: Verdict, now: Now) {
        let there = |c: &&mut Connection| c.session == session && !c.is_closing();
        let connection = self.connections.get_mut(token as usize).filter(there);
        let Some(access) = connection.and_then(|c| c.access.as_mut()) else { return };
        let Some((request, time_in)) = access.asked.take() else { return };
        let refused = match verdict {
            Verdict::Granted(badge) => match self.standing.judge(&badge.grant) {
                Ok(()) => return self.let_in(token, &request, time_in, badge, now),
                Err(_) => failed(),
            },
            Verdict::Failed => failed(),
            Verdict::Full(most) => {
                let words = format!("this subject has {most} connections, and may have no more");
                self.refuse(token, &request, time_in, &full(&words));
                let farewell = Farewell::new(CloseReason::ConnectionLimit, words);
                return self.leaving.push((token, farewell));
            }
        };
        access.failed += 1;
        let over = access.failed > AUTH_ATTEMPTS;
        self.refuse(token, &request, time_in, &refused);
        if over {
            let words = "too many tokens that are not accepted";
            self.leaving.push((token, Farewell::new(CloseReason::AuthFailed, words)));
        }
    }

    /// A connection is somebody from now on, or goes on as who it was.
    fn let_in(
        &mut self,
        token: u32,
        request: &Request,
        time_in: UnixNanos,
        mut badge: Badge,
        now: Now,
    ) {
        badge.grant = self.present(badge.grant);
        let Some(access) = &mut self.connections[token as usize].access else { return };
        if let Who::Known { badge: old, .. } = &mut access.who {
            badge.seat = badge.seat.or(old.seat.take());
        }
        access.failed = 0;
        let grant = badge.grant.clone();
        let before = self.wear(token, badge, now);
        self.tell(token, |out| answer_to(request, time_in).granted(&grant, out));
        self.rebound(token, before, &grant);
    }

    /// What a grant that stands is by now: that of an API key may have changed while it was on its
    /// way.
    fn present(&self, grant: Arc<Grant>) -> Arc<Grant> {
        self.standing.newer(&grant).cloned().unwrap_or(grant)
    }

    /// A connection has this badge from now on; the grant that it had before.
    fn wear(&mut self, token: u32, badge: Badge, now: Now) -> Option<Arc<Grant>> {
        let access = self.connections[token as usize].access.as_mut()?;
        let until = end_of(&badge.grant, now);
        match std::mem::replace(&mut access.who, Who::Known { badge, until }) {
            Who::Known { badge, .. } => Some(badge.grant),
            Who::Unknown { .. } => None,
        }
    }

    /// Holds what a connection has against its new grant, where that is another than before.
    fn rebound(&mut self, token: u32, before: Option<Arc<Grant>>, grant: &Grant) {
        if let Some(before) = before.filter(|before| before.rights != grant.rights) {
            self.bound(token, &before.rights, &grant.rights);
        }
    }

    /// Has the time of a connection come to say who it is, or to be nobody any more?
    pub(super) fn time_is_over(&self, token: u32, now: Now) -> Option<Farewell> {
        match &self.connections[token as usize].access.as_ref()?.who {
            Who::Unknown { until } if now.mono >= *until => {
                let words = "it did not say who it is in time";
                Some(Farewell::new(CloseReason::AuthTimeout, words))
            }
            Who::Known { until: Some(until), .. } if now.mono >= *until => {
                let words = "its token has expired: come back with a new one";
                Some(Farewell::new(CloseReason::AuthExpired, words))
            }
            _ => None,
        }
    }

    /// Keys and revocations have changed: who is nobody any more has to go, and who has another
    /// grant by now is bound by that.
    pub(super) fn review(&mut self, standing: Arc<Standing>, now: Now) {
        let mut changed = Vec::new();
        for (token, connection) in &self.connections {
            let Some(grant) = connection.grant().filter(|_| !connection.is_closing()) else {
                continue;
            };
            if let Err(words) = standing.judge(grant) {
                let farewell = Farewell::new(CloseReason::AuthRevoked, words);
                self.leaving.push((token as u32, farewell));
            } else if let Some(newer) = standing.newer(grant) {
                changed.push((token as u32, newer.clone()));
            }
        }
        self.standing = standing;
        for (token, grant) in changed {
            self.regrant(token, grant, now);
        }
    }

    /// The grant of a connection's key has changed.
    fn regrant(&mut self, token: u32, grant: Arc<Grant>, now: Now) {
        let Some(access) = &mut self.connections[token as usize].access else { return };
        let Who::Known { badge, .. } = &mut access.who else { return };
        let badge = Badge { grant: grant.clone(), seat: badge.seat.take() };
        let before = self.wear(token, badge, now);
        self.rebound(token, before, &grant);
    }
}

/// One and the same, whatever was wrong.
fn failed() -> ControlError {
    ControlError::new(ErrorCode::AuthFailed, "the token is not accepted")
}

fn full(words: &str) -> ControlError {
    ControlError::new(ErrorCode::TooManyConnections, words.to_owned())
}
