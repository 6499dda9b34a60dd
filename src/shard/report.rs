//! What a shard says of itself when it is asked.

use std::net::{IpAddr, SocketAddr};

use crate::clock::UnixNanos;
use crate::latency::Latency;
use crate::limits::SYMBOLS_SHOWN;
use crate::shard::Shard;
use crate::shard::audience::Counts;
use crate::shard::audiences::Audiences;
use crate::shard::cache::{self, Key};
use crate::shard::catalog::Catalog;
use crate::shard::connection::{Connection, Phase};
use crate::shard::interest::Interest;
use crate::shard::subscription::Subscription;
use crate::socket::write::Engine;
use crate::wire::close::CloseReason;
use crate::wire::instrument::schemas_of;
use crate::wire::record::{SCHEMAS, Schema};
use crate::wire::subscribe::Policy;
use crate::wire::symbols::Pattern;

/// One shard's counts since the start, and its state now.
#[derive(Clone, Debug, Default)]
pub struct ShardReport {
    /// Its number.
    pub shard: usize,
    /// Connections now.
    pub connections: u64,
    /// Subscriptions now.
    pub subscriptions: u64,
    /// Audiences now.
    pub audiences: u64,
    /// Records framed for connections.
    pub records: u64,
    /// Bytes that the kernel took.
    pub bytes: u64,
    /// Write calls.
    pub sends: u64,
    /// Records of the ring that were looked at.
    pub examined: u64,
    /// Unsent bytes of all connections now.
    pub queued_bytes: u64,
    /// Unsent bytes of the one that has most.
    pub queued_max: u64,
    /// Records that a newer state took the place of.
    pub conflated: u64,
    /// Records lost to connections, where that can be counted.
    pub dropped: u64,
    /// Gaps announced.
    pub gaps: u64,
    /// Queues that were cut short for want of memory.
    pub shed: u64,
    /// Slow connections that were sent back to the tape.
    pub fell_back: u64,
    /// Records sent in clients' own replays.
    pub replayed: u64,
    /// Records that the ring overwrote before this shard read them.
    pub overrun: u64,
    /// Records of the ring that the shard has not looked at yet.
    pub lag_records: u64,
    /// The last position looked at.
    pub read_seq: u64,
    /// Connections that ended, by reason.
    pub closes: Vec<(&'static str, u64)>,
    /// Requests that were refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// ring → shard, shard → kernel.
    pub latency: Latency,
}

/// One subscription as `/v1/sessions` and `subscriptions` show it.
#[derive(Clone, Debug)]
pub struct SessionSubscription {
    /// Its id.
    pub id: u64,
    /// Its schemas.
    pub schemas: Vec<Schema>,
    /// Its symbols: names, patterns, or `*`; the first ones where there are many.
    pub symbols: Vec<String>,
    /// How many instruments that is.
    pub count: u32,
    /// What it has counted.
    pub counts: Counts,
    /// Its policy's name.
    pub policy: &'static str,
    /// Its `max_rate`; 0: every record.
    pub max_rate: u32,
}

/// One connection as `/v1/sessions` shows it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its number in this run.
    pub id: u64,
    /// Where it is served.
    pub shard: usize,
    /// Where it is.
    pub peer: SocketAddr,
    /// The proxy that says so.
    pub via: Option<IpAddr>,
    /// Who it is: the subject of its grant, where that is asked.
    pub user: Option<String>,
    /// The version of its TLS, where it is encrypted.
    pub tls: Option<&'static str>,
    /// How its records are written.
    pub encoding: &'static str,
    /// When it came, ns.
    pub since: UnixNanos,
    /// What it asked for.
    pub subscriptions: Vec<SessionSubscription>,
    /// Unsent bytes now.
    pub queued_bytes: u64,
    /// Records framed for it.
    pub records: u64,
    /// Bytes that the kernel took.
    pub bytes: u64,
    /// `live`, `joining`, `behind` or `closing`.
    pub state: &'static str,
}

/// What a shard counts.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) sends: u64,
    pub(super) examined: u64,
    pub(super) unknown: u64,
    pub(super) gaps: u64,
    pub(super) shed: u64,
    pub(super) fell_back: u64,
    pub(super) replayed: u64,
    pub(super) overrun: u64,
    /// Of connections that have ended.
    pub(super) ended: Counts,
    pub(super) closes: [u64; CloseReason::ALL.len()],
    pub(super) refused: Vec<(&'static str, u64)>,
}

impl Tally {
    /// Records with these keys were framed for so many members.
    pub(super) fn delivered(&mut self, keys: &[Key], members: usize) {
        let mappings = keys.iter().filter(|key| cache::parts(**key).0 >= SCHEMAS).count();
        self.records += ((keys.len() - mappings) * members) as u64;
    }

    /// A connection has ended.
    pub(super) fn closed(&mut self, reason: CloseReason) {
        self.closes[reason as usize] += 1;
    }

    /// A request was refused.
    pub(super) fn refuse(&mut self, reason: &'static str) {
        match self.refused.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((reason, 1)),
        }
    }
}

/// The symbols of a subscription as a person would write them; of more than are shown, some.
pub(super) fn symbols(subscription: &Subscription, catalog: &Catalog) -> Vec<String> {
    if subscription.interests().any(|interest| interest.all) {
        return vec!["*".to_owned()];
    }
    let patterns = subscription.interests().flat_map(|i| &i.patterns).map(Pattern::as_str);
    let names = subscription.interests().flat_map(Interest::names);
    let symbols = names.map(|index| catalog.get(index).symbol.as_str());
    patterns.chain(symbols).take(SYMBOLS_SHOWN + 1).map(str::to_owned).collect()
}

impl<E: Engine> Shard<E> {
    pub(super) fn report(&self) -> ShardReport {
        let queues = self.connections.iter().map(|(_, c)| c.backlog.bytes() as u64);
        let counts = self.connections.iter().fold(self.tally.ended, |sum, (_, connection)| {
            sum.plus(total(connection, &self.audiences))
        });
        let closes = CloseReason::ALL.iter().map(|r| (r.name(), self.tally.closes[*r as usize]));
        ShardReport {
            shard: self.id,
            connections: self.connections.len() as u64,
            subscriptions: self.connections.iter().map(|(_, c)| c.subscriptions.len() as u64).sum(),
            audiences: self.audiences.count() as u64,
            records: self.tally.records,
            bytes: self.tally.bytes,
            sends: self.tally.sends,
            examined: self.tally.examined,
            queued_bytes: queues.clone().sum(),
            queued_max: queues.max().unwrap_or(0),
            conflated: counts.conflated,
            dropped: counts.dropped,
            gaps: self.tally.gaps,
            shed: self.tally.shed,
            fell_back: self.tally.fell_back,
            replayed: self.tally.replayed,
            overrun: self.tally.overrun,
            lag_records: self.ring.newest().saturating_sub(self.reader.seq()),
            read_seq: self.reader.seq(),
            closes: closes.collect(),
            refused: self.tally.refused.clone(),
            latency: self.latency.clone(),
        }
    }

    /// Sessions by number, from the first above `after` on.
    pub(super) fn sessions(&self, after: u64, limit: usize) -> Vec<Session> {
        let mut connections: Vec<&Connection> =
            self.connections.iter().map(|(_, c)| c).filter(|c| c.session > after).collect();
        connections.sort_unstable_by_key(|connection| connection.session);
        connections.truncate(limit);
        connections.into_iter().map(|connection| self.session(connection)).collect()
    }

    fn session(&self, connection: &Connection) -> Session {
        let subscriptions = connection.subscriptions.iter().map(|subscription| {
            let mask = subscription.interests().fold(0, |mask, interest| mask | interest.schemas);
            let paced = subscription.interests().map(|interest| interest.max_rate).max();
            SessionSubscription {
                id: u64::from(subscription.id),
                schemas: schemas_of(mask).collect(),
                symbols: symbols(subscription, &self.catalog),
                count: subscription.instruments(self.catalog.count()),
                counts: connection.counts(subscription, &self.audiences),
                policy: subscription.policy.map_or("default", Policy::name),
                max_rate: paced.unwrap_or(0),
            }
        });
        Session {
            id: connection.session,
            shard: self.id,
            peer: connection.peer,
            via: connection.pass.as_ref().and_then(|pass| pass.via),
            user: connection.grant().map(|grant| grant.subject.clone()),
            tls: connection.tls.as_ref().map(|session| session.version()),
            encoding: connection.encoding().name(),
            since: connection.since,
            subscriptions: subscriptions.collect(),
            queued_bytes: connection.backlog.bytes() as u64,
            records: connection.records(&self.audiences),
            bytes: connection.bytes,
            state: match connection.phase {
                Phase::Live => "live",
                Phase::Joining(_) => "joining",
                Phase::Behind => "behind",
                Phase::Closing { .. } => "closing",
            },
        }
    }

    /// The last record of each schema of these instrument ids.
    pub(super) fn last_records(&self, instruments: &[u32], mask: u32) -> Vec<Vec<u8>> {
        let known = instruments.iter().filter_map(|id| self.catalog.index(*id));
        known
            .flat_map(|index| schemas_of(mask).map(move |schema| cache::key(schema, index)))
            .filter_map(|key| self.cache.get(key))
            .map(|value| value.record().to_vec())
            .collect()
    }
}

/// What all subscriptions of a connection have counted.
pub(super) fn total(connection: &Connection, audiences: &Audiences) -> Counts {
    let counts = connection.subscriptions.iter().map(|s| connection.counts(s, audiences));
    counts.fold(Counts::default(), Counts::plus)
}
