//! One connection: its socket, where it stands, and what its subscriptions have counted together.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use mio::net::TcpStream;

use crate::clock::UnixNanos;
use crate::limits::ClientLimits;
use crate::shard::access::Access;
use crate::shard::audience::{Audience, Cast, Counts, Delivery};
use crate::shard::audiences::Audiences;
use crate::shard::cache::{self, Key};
use crate::shard::catchup::Located;
use crate::shard::command::{Pass, Speech};
use crate::shard::deferred::Deferred;
use crate::shard::departure::Ending;
use crate::shard::interest::Interest;
use crate::shard::joining::Joining;
use crate::shard::replay::Play;
use crate::shard::subscription::{Share, Subscription};
use crate::socket::backlog::Backlog;
use crate::socket::read::Guard;
use crate::socket::tls::Session;
use crate::wire::close::CloseReason;
use crate::wire::encoding::Encoding;
use crate::wire::record::SCHEMAS;
use crate::wire::request::Request;
use crate::wire::subscribe::Policy;

/// Where a connection stands towards the live stream.
pub enum Phase {
    /// Member of a shared audience, or without subscriptions.
    Live,
    /// It gets a snapshot or what it missed, then joins.
    Joining(Box<Joining>),
    /// Too slow for the live stream: it gets the newest states as it takes them.
    Behind,
    /// It has been told to go: input is discarded until then, then it is cut off.
    Closing {
        /// When.
        until: Instant,
        /// The socket's write side has been shut.
        shut: bool,
        /// Why, and how it was told.
        ending: Ending,
    },
}

/// A token bucket for client messages.
#[derive(Debug)]
pub struct Allowance {
    tokens: f32,
    at: Instant,
}

impl Allowance {
    fn new(limits: &ClientLimits, now: Instant) -> Self {
        Self { tokens: limits.burst as f32, at: now }
    }

    /// Takes one message's worth; false where there is none.
    pub fn take(&mut self, limits: &ClientLimits, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f32() * limits.rate as f32;
        self.tokens = (self.tokens + earned).min(limits.burst as f32);
        self.at = now;
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

/// A connected client.
pub struct Connection {
    /// Its session number.
    pub session: u64,
    /// Its socket.
    pub stream: TcpStream,
    /// Its TLS, where it is encrypted: then all that it is sent goes through its backlog.
    pub tls: Option<Box<Session>>,
    /// Who it is.
    pub peer: SocketAddr,
    /// What the gate has for it.
    pub pass: Option<Box<Pass>>,
    /// What it talks.
    pub speech: Speech,
    /// Who it is, where that is asked.
    pub(super) access: Option<Box<Access>>,
    /// When it came, ns.
    pub since: UnixNanos,
    /// Checks what it sends.
    pub guard: Guard,
    /// What the kernel has not taken.
    pub backlog: Backlog,
    /// Will the kernel take bytes?
    pub writable: bool,
    /// May there be input that has not been read?
    pub readable: bool,
    /// Is it not read until it has taken its answers?
    pub paused: bool,
    /// Was its last message one too many?
    pub over_rate: bool,
    /// Is it on the shard's list of those with something to flush?
    pub hot: bool,
    /// Has it been told that it is lagging?
    pub lagging: bool,
    /// Since when it has had unsent bytes.
    pub stuck: Option<Instant>,
    /// The audience it is a member of.
    pub audience: Option<u32>,
    /// What it asked for.
    pub subscriptions: Vec<Subscription>,
    /// Where it stands.
    pub phase: Phase,
    /// Records delivered outside of the present audience.
    records: u64,
    /// Records that were framed, dropped, and are no longer counted.
    taken_back: u64,
    /// The audience's records when it was joined.
    records_base: u64,
    /// Bytes that the kernel took.
    pub bytes: u64,
    /// The id the next subscription gets.
    pub next_id: u32,
    /// Requests that have to wait until it is live.
    pub deferred: Deferred,
    /// The position that its next request wants to start from, while that is looked for.
    pub located: Option<Box<Located>>,
    /// Its replay.
    pub replay: Option<Box<Play>>,
    /// Its wish for one, while the recording is opened, and when it came.
    pub opening: Option<Box<(Request, UnixNanos)>>,
    /// The number the next replay gets.
    pub next_replay: u32,
    /// Messages it may send.
    pub allowance: Allowance,
    /// When it was last sent anything but a heartbeat.
    pub last_data: Instant,
    /// When it was last sent a heartbeat.
    pub last_heartbeat: Instant,
    /// When it was last sent a ping.
    pub last_ping: Instant,
    /// When it last answered one.
    pub last_pong: Instant,
}

impl Connection {
    /// A connection that has just arrived.
    pub fn new(
        arrival: (u64, std::net::TcpStream, SocketAddr, Speech),
        limits: &ClientLimits,
        now: crate::clock::Now,
        message_max: usize,
    ) -> Self {
        let (session, stream, peer, speech) = arrival;
        Self {
            session,
            stream: TcpStream::from_std(stream),
            tls: None,
            peer,
            pass: None,
            speech,
            access: None,
            since: now.unix,
            guard: Guard::new(message_max),
            backlog: Backlog::default(),
            writable: true,
            readable: false,
            paused: false,
            over_rate: false,
            hot: false,
            lagging: false,
            stuck: None,
            audience: None,
            subscriptions: Vec::new(),
            phase: Phase::Live,
            records: 0,
            taken_back: 0,
            records_base: 0,
            bytes: 0,
            next_id: 1,
            deferred: Deferred::default(),
            located: None,
            replay: None,
            opening: None,
            next_replay: 1,
            allowance: Allowance::new(limits, now.mono),
            last_data: now.mono,
            last_heartbeat: now.mono,
            last_ping: now.mono,
            last_pong: now.mono,
        }
    }

    /// How its records are written.
    pub fn encoding(&self) -> Encoding {
        match self.speech {
            Speech::Stream(encoding) => encoding,
            Speech::Echo => Encoding::Dbn,
        }
    }

    /// Have further requests to wait: it joins, or the tape is being looked through for it?
    pub fn is_occupied(&self) -> bool {
        let asked = matches!(self.located.as_deref(), Some(Located::Asked));
        asked
            || match &self.phase {
                Phase::Joining(joining) => joining.delay.is_zero() || !joining.snapshots.is_empty(),
                _ => false,
            }
    }

    /// Has it nothing, and is nothing for it on its way?
    pub fn is_idle(&self) -> bool {
        let awaits = self.located.is_some() || self.opening.is_some();
        self.subscriptions.is_empty() && self.replay.is_none() && !awaits
    }

    /// Is it to have records that the shard has missed, rather than to be told of them? Not where
    /// newest states are all that it asks for.
    pub fn is_repairable(&self) -> bool {
        let keeps = |s: &Subscription| {
            s.policy != Some(Policy::Disconnect) && s.when_behind() != Delivery::Latest
        };
        self.subscriptions.iter().all(keeps)
    }

    /// Is it on its way out?
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// Makes it a member of the audience of its subscriptions: the shared one, or, where states
    /// wait that only it has not got, one of its own, in which its policies hold.
    pub fn join(&mut self, token: u32, audiences: &mut Audiences, alone: bool) {
        let alone = alone || self.conflates();
        let mut shares: Vec<(&mut Share, Delivery)> = self
            .subscriptions
            .iter_mut()
            .flat_map(|subscription| {
                let how = subscription.when_behind();
                subscription.shares.iter_mut().map(move |share| (share, how))
            })
            .collect();
        shares.sort_by(|(a, _), (b, _)| a.interest.cmp(&b.interest));
        self.phase = if alone { Phase::Behind } else { Phase::Live };
        if shares.is_empty() {
            self.phase = Phase::Live;
            return;
        }
        let interests = shares.iter().map(|(share, _)| share.interest.clone()).collect();
        let encoding = match self.speech {
            Speech::Stream(encoding) => encoding,
            Speech::Echo => Encoding::Dbn,
        };
        let cast = Cast { encoding, interests };
        let id = match alone {
            true => {
                let how = shares.iter().map(|(_, how)| *how).collect();
                audiences.join_alone(cast, how, token)
            }
            false => audiences.join(cast, token),
        };
        let audience = audiences.get_mut(id);
        for (place, (share, _)) in shares.into_iter().enumerate() {
            (share.place, share.base) = (place, audience.counts[place]);
            while let Some(key) = share.waiting.pop() {
                audience.changed[place].insert(key);
            }
        }
        self.audience = Some(id);
        self.records_base = audience.records;
    }

    /// Takes it out of its audience; what it counted there stays counted.
    pub fn leave(&mut self, token: u32, audiences: &mut Audiences) {
        let Some(id) = self.audience.take() else { return };
        let audience = audiences.get(id);
        self.records += audience.records - self.records_base;
        for subscription in &mut self.subscriptions {
            for share in &mut subscription.shares {
                let counts = audience.counts[share.place].since(share.base);
                subscription.counted = subscription.counted.plus(counts);
                audience.changed[share.place].iter().for_each(|key| _ = share.waiting.insert(key));
            }
        }
        audiences.leave(id, token);
    }

    /// Records delivered in all.
    pub fn records(&self, audiences: &Audiences) -> u64 {
        let live = self.audience.map_or(0, |id| audiences.get(id).records - self.records_base);
        self.records + live
    }

    /// It was sent so many, and is in no audience any more.
    pub fn settle(&mut self, records: u64) {
        (self.records, self.audience) = (records, None);
    }

    /// What it was sent while it was in an audience, where it is in none any more.
    pub fn settled(&self) -> u64 {
        self.records
    }

    /// Adds a subscription. It is in no audience.
    pub fn subscribe(&mut self, id: u32, interest: Interest, policy: Option<Policy>) {
        let new = Subscription::new(id, interest, policy, self.framed());
        if self.subscriptions.is_empty() {
            // Most have one, and there are many of them: no room is kept for more.
            self.subscriptions.reserve_exact(1);
        }
        self.subscriptions.push(new);
    }

    /// Takes a record with these keys (a trade of `mbp-1` has two) while it is in no audience. Is
    /// it to be sent? Not where nobody asks for it or all who do want states at a rate: those wait.
    pub fn take(&mut self, keys: &[Key]) -> bool {
        let slow = matches!(&self.phase, Phase::Joining(joining) if joining.slow);
        let each = |key: &Key| self.subscriptions.iter().any(|s| s.takes_each(*key, slow));
        let sent = keys.iter().any(each);
        for subscription in &mut self.subscriptions {
            if let Some(key) = keys.iter().find(|key| subscription.asks_for(**key)) {
                subscription.take(*key, sent);
            }
        }
        self.records += u64::from(sent);
        sent
    }

    /// Do states wait that the next record of the same key supersedes? Not those at a rate, which
    /// wait by themselves.
    pub fn conflates(&self) -> bool {
        let mut shares = self.subscriptions.iter().flat_map(|s| &s.shares);
        shares.any(|share| share.interest.max_rate == 0 && !share.waiting.is_empty())
    }

    /// May all records in its backlog be superseded, whichever subscription asks for them? Not
    /// where there are none: then it is answers that nobody reads.
    pub fn may_conflate_all(&self) -> bool {
        let mut keys = self.backlog.keys().peekable();
        keys.peek().is_some() && keys.all(|key| self.may_conflate(key))
    }

    /// What happens when its queue is full, where a tape is there to read on from, or not.
    pub fn when_full(&self, tape: bool) -> Policy {
        let disconnects = |s: &Subscription| s.policy == Some(Policy::Disconnect);
        let asks = |s: &Subscription| self.backlog.keys().any(|key| s.asks_for(key));
        let must_go = self.subscriptions.iter().any(|s| disconnects(s) && asks(s));
        match self.may_conflate_all() {
            true => Policy::Conflate,
            false if tape && !must_go && self.backlog.keys().next().is_some() => Policy::CatchUp,
            false => Policy::Disconnect,
        }
    }

    fn may_conflate(&self, key: Key) -> bool {
        let mut asking = self.subscriptions.iter().filter(|s| s.asks_for(key)).peekable();
        match asking.peek() {
            // What was queued for a subscription that has ended since.
            None => !is_numbered(key) || Delivery::LatestOfStates.is_latest(key),
            Some(_) => asking.all(|subscription| subscription.when_behind().is_latest(key)),
        }
    }

    /// Records that were ever framed for it while it was in no audience, or in earlier ones.
    fn framed(&self) -> u64 {
        self.records + self.taken_back
    }

    /// Of records framed for it, the last ones: their keys, each with how many were framed before.
    fn last_framed(&self, keys: &[Key]) -> impl Iterator<Item = (u64, Key)> {
        let numbered = || keys.iter().copied().filter(|key| is_numbered(*key));
        (self.framed() - numbered().count() as u64..).zip(numbered())
    }

    /// Counts records back that were framed for it, as the last ones, and dropped. It is in no
    /// audience.
    pub fn take_back(&mut self, keys: &[Key]) {
        let dropped: Vec<(u64, Key)> = self.last_framed(keys).collect();
        for (before, key) in &dropped {
            let asking = self.subscriptions.iter_mut().filter(|s| s.has_counted(*before, *key));
            for subscription in asking {
                subscription.counted.records -= 1;
            }
        }
        self.records -= dropped.len() as u64;
        self.taken_back += dropped.len() as u64;
    }

    /// Has the records that were taken back wait as states in `audience`, which is its own.
    pub fn remember(&self, keys: &[Key], audience: &mut Audience) {
        let Audience { deliveries, changed, counts, .. } = audience;
        for (before, key) in self.last_framed(keys) {
            let asking = self.subscriptions.iter().filter(|s| s.has_counted(before, key));
            for share in asking.flat_map(|s| &s.shares).filter(|s| s.interest.asks_for(key)) {
                if deliveries[share.place].is_latest(key) {
                    let superseded = !changed[share.place].insert(key);
                    counts[share.place].conflated += u64::from(superseded);
                }
            }
        }
    }

    /// What a subscription has counted since it began.
    pub fn counts(&self, subscription: &Subscription, audiences: &Audiences) -> Counts {
        let Some(id) = self.audience else { return subscription.counted };
        let counts = &audiences.get(id).counts;
        let live = subscription.shares.iter().map(|share| counts[share.place].since(share.base));
        live.fold(subscription.counted, Counts::plus)
    }

    /// Reads what there is into `buffer`; 0 at the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` where there is nothing, else as of [`Session::read`].
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(session) = &mut self.tls {
            return session.read(&self.stream, buffer);
        }
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// May it be written to without a detour: is nothing before that, and is it not encrypted?
    #[inline]
    pub fn is_direct(&self) -> bool {
        self.writable && self.backlog.is_empty() && self.tls.is_none()
    }

    /// Has the kernel yet to take something that is no longer in the backlog?
    pub fn has_ciphertext(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.has_unsent())
    }

    /// Puts `frames` at the end of what it will be sent.
    pub fn note(&mut self, frames: Vec<u8>) {
        self.backlog.push_note(Bytes::from(frames));
    }
}

/// Does a record of this key have a position? A mapping has none.
fn is_numbered(key: Key) -> bool {
    cache::parts(key).0 < SCHEMAS
}

/// Why a connection is closed, and the words for it.
#[derive(Debug)]
pub struct Farewell {
    /// The reason, for the wire and for the metrics.
    pub reason: CloseReason,
    /// What to tell the client.
    pub words: String,
}

impl Farewell {
    /// A farewell.
    pub fn new(reason: CloseReason, words: impl Into<String>) -> Self {
        Self { reason, words: words.into() }
    }

    /// That of a server that drains.
    pub fn drain(reason: CloseReason) -> Self {
        let words = match reason {
            CloseReason::GoingAway => "the feed has ended",
            _ => "the server is shutting down",
        };
        Self::new(reason, words)
    }
}
