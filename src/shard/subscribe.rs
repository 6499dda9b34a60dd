//! Requests: each gets exactly one answer, before anything that it causes.
//!
//! What a request asks for is checked whole before any of it is done. A subscribe or unsubscribe
//! that comes while a connection is still joining waits until it is live, so that its own answer
//! stands before its own records.

use std::collections::VecDeque;

use crate::clock::{Now, UnixNanos, unix_now};
use crate::limits::{IMAGES_MAX, INSTRUMENTS_SHOWN, SUBSCRIPTIONS_MAX};
use crate::shard::Shard;
use crate::shard::catalog::Rejected;
use crate::shard::course::Course;
use crate::shard::deferred::Waiting;
use crate::shard::entitle;
use crate::shard::interest::Interest;
use crate::shard::joining::{Joining, Snapshot};
use crate::shard::report;
use crate::shard::subscription::Subscription;
use crate::socket::write::Engine;
use crate::wire::answer::{self, Answer, Subscribed};
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::frame;
use crate::wire::heartbeat::Counts;
use crate::wire::instrument::bit;
use crate::wire::position::{Position, Start};
use crate::wire::record::Schema;
use crate::wire::request::{self, Method, Request};
use crate::wire::subscribe::{Policy, Subscribe};
use crate::wire::symbols::Symbols;

/// A wish, in the shard's terms, before it is granted.
pub(super) struct Plan {
    pub(super) interest: Interest,
    pub(super) policy: Option<Policy>,
    states: bool,
    rejected: Vec<Rejected>,
    listed: bool,
    /// The rate, where it is less than what was asked for.
    slowed: Option<u32>,
}

impl<E: Engine> Shard<E> {
    /// Answers a text that a client sent.
    pub(super) fn take_request(&mut self, token: u32, text: &str, now: Now) {
        // Not the turn's time: a client takes this for when its bytes arrived.
        let time_in = unix_now();
        let connection = &mut self.connections[token as usize];
        let allowed = connection.allowance.take(&self.limits, now.mono);
        connection.over_rate = !allowed;
        let too_many = || {
            let words = format!(
                "more than {} messages a second: send fewer, or more in one",
                self.limits.rate
            );
            ControlError::new(ErrorCode::TooManyRequests, words)
        };
        let request = match request::parse(text, &self.limits) {
            Ok(request) => request,
            Err(mut refused) => {
                if !allowed {
                    refused.error = too_many();
                }
                self.tally.refuse(refused.error.code.reason());
                return self.tell(token, |out| answer::refused(&refused, time_in, unix_now(), out));
            }
        };
        if !allowed {
            let error = too_many();
            return self.refuse(token, &request, time_in, &error);
        }
        if let Err(error) = self.knows(token, &request.method) {
            return self.refuse(token, &request, time_in, &error);
        }
        let connection = &mut self.connections[token as usize];
        let waits = match request.method {
            Method::Subscribe { .. } | Method::Unsubscribe(_) => connection.is_occupied(),
            Method::Replay(_) | Method::Control { .. } => connection.opening.is_some(),
            Method::Subscriptions { .. } | Method::Ping { .. } | Method::Auth { .. } => false,
        };
        let bytes = text.len();
        let deferred = &mut connection.deferred;
        if waits && let Err(error) = deferred.admit(bytes, self.limits.burst as usize) {
            return self.refuse(token, &request, time_in, &error);
        }
        let waiting = Waiting { request, time_in, bytes };
        match waits {
            true => deferred.push(waiting),
            false => self.grant(token, waiting, now),
        }
    }

    /// Grants the requests that waited for a connection to be live.
    pub(super) fn grant_deferred(&mut self, token: u32, now: Now) {
        while let connection = &mut self.connections[token as usize]
            && !connection.is_occupied()
            && let Some(waiting) = connection.deferred.pop()
        {
            self.grant(token, waiting, now);
        }
    }

    fn grant(&mut self, token: u32, waiting: Waiting, now: Now) {
        if let Method::Subscribe { wishes, .. } = &waiting.request.method
            && self.locate(token, wishes)
        {
            return self.connections[token as usize].deferred.put_back(waiting);
        }
        let Waiting { request, time_in, .. } = &waiting;
        let time_in = *time_in;
        let granted = match &request.method {
            Method::Subscribe { wishes, as_list } => {
                self.subscribe(token, request, wishes, *as_list, time_in, now)
            }
            Method::Unsubscribe(what) => self.unsubscribe(token, request, what, time_in),
            Method::Replay(wish) => self.begin_replay(token, request, wish, time_in),
            Method::Control { control, replay } => {
                self.control_replay(token, request, *control, *replay, time_in)
            }
            Method::Subscriptions { after } => {
                self.list_subscriptions(token, request, after.unwrap_or(0), time_in);
                Ok(())
            }
            Method::Auth { token: secret } => self.begin_auth(token, request, secret, time_in),
            Method::Ping { data } => {
                let mut frames = Vec::new();
                let answer = answer_to(request, time_in);
                frame::text_with(&mut frames, |out| answer.pong(data.as_deref(), out));
                self.note_urgent(token, &frames);
                Ok(())
            }
        };
        if let Err(error) = granted {
            self.refuse(token, request, time_in, &error);
        }
    }

    pub(super) fn refuse(
        &mut self,
        token: u32,
        request: &Request,
        time_in: u64,
        error: &ControlError,
    ) {
        self.tally.refuse(error.code.reason());
        self.tell(token, |out| answer_to(request, time_in).failure(error, out));
    }

    pub(super) fn tell(&mut self, token: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let mut frames = Vec::new();
        frame::text_with(&mut frames, write);
        self.note(token, frames);
    }

    fn subscribe(
        &mut self,
        token: u32,
        request: &Request,
        wishes: &[Subscribe],
        as_list: bool,
        time_in: UnixNanos,
        now: Now,
    ) -> Result<(), ControlError> {
        let there = self.connections[token as usize].subscriptions.len();
        let limit = self.limits.subscriptions.min(SUBSCRIPTIONS_MAX);
        if there + wishes.len() > limit {
            let words = format!("{there} subscriptions and {} more: at most {limit}", wishes.len());
            return Err(ControlError::new(ErrorCode::TooManySubscriptions, words));
        }
        let replay = &self.connections[token as usize].replay;
        if replay.as_ref().is_some_and(|play| play.subscription.is_some()) {
            let words = "a replay goes on into the live stream: stop it, or wait for that";
            return Err(ControlError::new(ErrorCode::WrongState, words.to_owned()));
        }
        let start = self.start_of(token, wishes, there)?;
        let plans: Vec<Plan> =
            wishes.iter().map(|wish| self.plan(token, wish)).collect::<Result<_, _>>()?;
        let resumed = start.is_some() && wishes.iter().any(|wish| wish.start.is_some());
        let course = start.unwrap_or_else(|| Course::Ring(self.reader.clone()));
        let connection = &mut self.connections[token as usize];
        let seq = connection.delayed().map_or(course.seq(), |joining| joining.course.seq());
        let ids = self.answer_subscribed(token, request, &plans, seq, as_list, time_in);

        let Self { connections, audiences, catalog, progress, id, .. } = self;
        let connection = &mut connections[token as usize];
        connection.leave(token, audiences);
        let delay = connection.delay();
        let known = catalog.count();
        let mut snapshots = VecDeque::new();
        for (plan, subscription) in plans.into_iter().zip(ids) {
            let told = plan.states && !resumed;
            let states = told && delay.is_zero();
            let books = states && plan.interest.has_schema(Schema::Mbo);
            snapshots.push_back(Snapshot {
                subscription,
                seq,
                states,
                told,
                books,
                sending: None,
                done: 0,
                known,
                open: false,
            });
            connection.subscribe(subscription, plan.interest, plan.policy);
        }
        if there == 0 {
            progress.of(*id).join();
        }
        if let Some(joining) = self.connections[token as usize].delayed() {
            // It is on its way already, and goes on from where it is.
            joining.snapshots = snapshots;
            return Ok(());
        }
        let joining = Joining::new(snapshots, course, resumed, now.mono);
        self.begin_joining(token, Joining { delay, ..joining }, now);
        Ok(())
    }

    /// Where `from` asks to start, where it does.
    fn start_of(
        &mut self,
        token: u32,
        wishes: &[Subscribe],
        there: usize,
    ) -> Result<Option<Course>, ControlError> {
        let start = wishes.first().and_then(|wish| wish.start);
        if wishes.iter().any(|wish| wish.start != start) {
            let words =
                "one connection reads from one position: give all of the list the same from";
            return Err(ControlError::new(ErrorCode::BadParams, words));
        }
        if start.is_some() && there > 0 {
            let words = "from needs a connection without live subscriptions";
            return Err(ControlError::new(ErrorCode::WrongState, words));
        }
        let Some(wanted) = self.wanted_start(token, wishes) else { return Ok(None) };
        let found = match self.take_located(token, wanted) {
            Some(located) => located,
            None => self.course_from(wanted),
        };
        match (found, start) {
            (Ok(course), Some(start)) => {
                self.check_depth(token, start, &course)?;
                Ok(Some(course))
            }
            (Ok(course), None) => Ok(Some(course)),
            (Err(_), None) => Err(self.out_of_reach(self.connections[token as usize].delay())),
            (Err(error), Some(_)) => Err(error),
        }
    }

    /// The way from a position that the ring has.
    fn course_from(&self, start: Start) -> Result<Course, ControlError> {
        let gone = |words: String| ControlError::new(ErrorCode::NotRetained, words);
        match start {
            Start::After(Position { epoch, .. }) if epoch != self.epoch => {
                Err(gone(format!("epoch {epoch} is not this run's, which is {}", self.epoch)))
            }
            Start::After(Position { seq, .. }) if seq <= self.reader.seq() => {
                let reader = self.ring.reader_after(seq);
                reader.map(Course::Ring).map_err(|error| gone(format!("position {seq}: {error}")))
            }
            Start::After(Position { seq, .. }) => {
                let newest = self.reader.seq();
                Err(gone(format!("position {seq} is not reached yet: the newest is {newest}")))
            }
            Start::At(time) => {
                let reader = self.ring.reader_at_time(time);
                let reader = reader.map_err(|error| gone(format!("time {time}: {error}")))?;
                let ahead = reader.seq() > self.reader.seq();
                Ok(Course::Ring(if ahead { self.reader.clone() } else { reader }))
            }
        }
    }

    /// What a wish comes to, where it can be granted.
    pub(super) fn plan(&self, token: u32, wish: &Subscribe) -> Result<Plan, ControlError> {
        let rights = self.connections[token as usize].rights();
        let schemas = entitle::given_schemas(rights, wish.schemas)?;
        let max_rate = entitle::given_rate(rights, wish.max_rate)?;
        let refuse = |code, words: &str| Err(ControlError::new(code, words.to_owned()));
        if wish.policy == Some(Policy::CatchUp) && self.tape.is_none() {
            let words = "catch_up needs a recorder, and none runs: ask for conflate or disconnect";
            return refuse(ErrorCode::WrongState, words);
        }
        let live = wish.start.is_none() && rights.is_none_or(|rights| rights.delay.is_zero());
        if live && wish.snapshot && self.cache.images() >= IMAGES_MAX {
            let words = "many snapshots are being sent: ask again in a moment";
            return refuse(ErrorCode::TooManyRequests, words);
        }
        let mut plan = Plan {
            interest: Interest { schemas, max_rate, ..Interest::default() },
            policy: wish.policy,
            states: wish.snapshot,
            rejected: Vec::new(),
            listed: false,
            slowed: Some(max_rate).filter(|rate| *rate > 0 && Some(*rate) != wish.max_rate),
        };
        let given = rights.and_then(|rights| rights.symbols.as_ref());
        plan.rejected = self.catalog.ask(&wish.symbols, given, &mut plan.interest);
        if wish.symbols != Symbols::All {
            plan.listed = plan.interest.instruments.len() <= INSTRUMENTS_SHOWN;
        }
        if plan.interest.is_empty() {
            return Err(entitle::none_of(&plan.rejected, "no instrument is called"));
        }
        if live && wish.snapshot && wish.schemas & bit(Schema::Mbo) != 0 {
            self.check_books(&plan.interest)?;
        }
        Ok(plan)
    }

    /// A snapshot of `mbo` is the book: refused where it is not known what rests.
    fn check_books(&self, interest: &Interest) -> Result<(), ControlError> {
        let unknown = interest.instruments.iter().find(|index| self.books.is_unknown(**index));
        let Some(unknown) = unknown else { return Ok(()) };
        let words = format!(
            "records were lost, so the book of {} is not known until it begins anew: ask with \
             snapshot false",
            self.catalog.get(*unknown).symbol
        );
        Err(ControlError::new(ErrorCode::WrongState, words))
    }

    /// Answers a subscribe and returns the ids of its subscriptions.
    fn answer_subscribed(
        &mut self,
        token: u32,
        request: &Request,
        plans: &[Plan],
        seq: u64,
        as_list: bool,
        time_in: UnixNanos,
    ) -> Vec<u32> {
        let connection = &mut self.connections[token as usize];
        let ids: Vec<u32> = (connection.next_id..).take(plans.len()).collect();
        connection.next_id += plans.len() as u32;
        let at = Position { epoch: self.epoch, seq };
        let named = |index: &u32| {
            let instrument = self.catalog.get(*index);
            (instrument.symbol.as_str(), instrument.id)
        };
        let lists: Vec<(Vec<_>, Vec<_>)> = plans
            .iter()
            .map(|plan| {
                let listed = if plan.listed { &plan.interest.instruments[..] } else { &[] };
                let named = listed.iter().map(named);
                (
                    named.collect(),
                    plan.rejected.iter().map(|(symbol, code)| (symbol.as_str(), *code)).collect(),
                )
            })
            .collect();
        let results: Vec<Subscribed<'_>> = plans
            .iter()
            .zip(&lists)
            .zip(&ids)
            .map(|((plan, (instruments, rejected)), id)| Subscribed {
                subscription: *id,
                at,
                count: plan.interest.count(self.catalog.count()),
                instruments: plan.listed.then_some(instruments.as_slice()),
                rejected,
                max_rate: plan.slowed,
            })
            .collect();
        let mut frames = Vec::new();
        let answer = answer_to(request, time_in);
        frame::text_with(&mut frames, |out| match results.as_slice() {
            [one] if !as_list => answer.subscribed(one, out),
            all => answer.subscribed_all(all, out),
        });
        self.note(token, frames);
        ids
    }

    fn list_subscriptions(&mut self, token: u32, request: &Request, after: u32, time_in: u64) {
        let connection = &self.connections[token as usize];
        let mut chosen: Vec<&Subscription> =
            connection.subscriptions.iter().filter(|s| s.id > after).collect();
        chosen.sort_unstable_by_key(|subscription| subscription.id);
        let symbols: Vec<Vec<String>> =
            chosen.iter().map(|s| report::symbols(s, &self.catalog)).collect();
        let symbols: Vec<Vec<&str>> =
            symbols.iter().map(|list| list.iter().map(String::as_str).collect()).collect();
        let mut shown = Vec::with_capacity(chosen.len());
        for (subscription, symbols) in chosen.iter().zip(&symbols) {
            let counts = connection.counts(subscription, &self.audiences);
            let interests = subscription.interests();
            shown.push(answer::Subscription {
                schemas: interests.fold(0, |mask, interest| mask | interest.schemas),
                symbols: (symbols[..] != ["*"]).then_some(symbols.as_slice()),
                count: subscription.instruments(self.catalog.count()),
                policy: subscription.policy,
                max_rate: subscription.interests().map(|i| i.max_rate).find(|rate| *rate > 0),
                counts: Counts {
                    subscription: subscription.id,
                    records: counts.records,
                    conflated: counts.conflated,
                    dropped: counts.dropped,
                },
            });
        }
        let mut frames = Vec::new();
        let answer = answer_to(request, time_in);
        frame::text_with(&mut frames, |out| answer.subscriptions(&shown, out));
        // An answer stays, and so does what it counts.
        self.connections[token as usize].backlog.seal();
        self.note(token, frames);
    }
}

pub(super) fn answer_to(request: &Request, time_in: UnixNanos) -> Answer<'_> {
    let (id, method) = (&request.id, request.method.name());
    Answer { id, method, time_in, time_out: unix_now() }
}
