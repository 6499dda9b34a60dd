//! What runs, as its parts report it on demand: plain data for pages and metrics.

use std::net::SocketAddr;

use crate::clock::UnixNanos;
use crate::latency::Latency;
use crate::wire::instrument::Directory;
use crate::wire::record::Schema;

/// Where pages and metrics ask. Answers come from the threads that own the figures; none of them
/// stops for it.
pub trait Status: Send + Sync {
    /// What does not change while it runs.
    fn info(&self) -> &Info;

    /// All instruments.
    fn directory(&self) -> &Directory;

    /// Is the feed live, and is it not draining?
    ///
    /// # Errors
    /// Why it is not ready, for people.
    fn readiness(&self) -> Result<(), String>;

    /// Every shard, in order.
    fn shards(&self) -> impl Future<Output = Vec<ShardReport>> + Send;

    /// The feeds and the publisher.
    fn feed(&self) -> impl Future<Output = FeedReport> + Send;

    /// At most `limit` sessions with an id above `after`, by id.
    fn sessions(&self, after: u64, limit: usize) -> impl Future<Output = Vec<Session>> + Send;

    /// The last record of each schema of these instrument ids, published (with `ts_out`).
    fn last(&self, instruments: Vec<u32>) -> impl Future<Output = Vec<Vec<u8>>> + Send;
}

/// What does not change while it runs.
#[derive(Clone, Debug)]
pub struct Info {
    /// The program's version.
    pub version: &'static str,
    /// Identifies this run's sequence.
    pub epoch: u64,
    /// When it started, ns.
    pub started: UnixNanos,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
}

/// A count for each name.
pub type Named = Vec<(&'static str, u64)>;

/// One shard. Counts are since the start.
#[derive(Clone, Debug, Default)]
pub struct ShardReport {
    /// Its number, from 0.
    pub shard: usize,
    /// Connections now.
    pub connections: u64,
    /// Subscriptions now.
    pub subscriptions: u64,
    /// Groups of connections that share framed bytes, now.
    pub audiences: u64,
    /// Records delivered to the kernel, each counted once a connection.
    pub records: u64,
    /// Bytes delivered to the kernel.
    pub bytes: u64,
    /// System calls that sent them.
    pub sends: u64,
    /// Records of the ring that were looked at.
    pub examined: u64,
    /// Bytes that wait for slow sockets, now.
    pub queued_bytes: u64,
    /// Those of the connection that has most.
    pub queued_max: u64,
    /// Records that a newer state replaced for slow or rate-limited clients.
    pub conflated: u64,
    /// Records that were not delivered.
    pub dropped: u64,
    /// Times that a client was told of a gap.
    pub gaps: u64,
    /// Records that the ring overwrote before the shard read them.
    pub overrun: u64,
    /// Records between the ring's end and what it has read, now.
    pub lag_records: u64,
    /// The last sequence it has read.
    pub read_seq: u64,
    /// Connections that ended, by reason.
    pub closes: Named,
    /// Requests that were refused, by reason.
    pub refused: Named,
    /// Ring to shard, shard to kernel.
    pub latency: Latency,
}

/// The feeds and the publisher. Counts are since the start.
#[derive(Clone, Debug, Default)]
pub struct FeedReport {
    /// What is played.
    pub name: String,
    /// `waiting`, `live`, `stalled`, `ended`, `failed: …`
    pub state: String,
    /// The run that `seq` belongs to.
    pub epoch: u64,
    /// The last record published.
    pub seq: u64,
    /// Records published.
    pub records: u64,
    /// Bytes published.
    pub bytes: u64,
    /// Records published, by schema.
    pub records_by_schema: Vec<(Schema, u64)>,
    /// The most that a record was published after it was due, ns.
    pub late_ns_max: u64,
    /// Source to feed, feed to ring.
    pub latency: Latency,
    /// Instruments known.
    pub instruments: u64,
}

/// A connected client.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id, in the order of arrival, from 1.
    pub id: u64,
    /// The shard that serves it.
    pub shard: usize,
    /// Its address.
    pub peer: SocketAddr,
    /// `dbn` or `json`.
    pub encoding: &'static str,
    /// When it came, ns.
    pub since: UnixNanos,
    /// What it has subscribed to.
    pub subscriptions: Vec<SessionSubscription>,
    /// Bytes that wait for it.
    pub queued_bytes: u64,
    /// Records sent.
    pub records: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// `live`, `joining`, `behind` or `closing`.
    pub state: &'static str,
}

/// A subscription of a connected client.
#[derive(Clone, Debug)]
pub struct SessionSubscription {
    /// Its id within the connection.
    pub id: u64,
    /// Its schemas.
    pub schemas: Vec<Schema>,
    /// Its symbols: names, patterns, or `*`.
    pub symbols: Vec<String>,
    /// What it has counted.
    pub counts: Counts,
    /// `conflate` or `disconnect`.
    pub policy: &'static str,
    /// Updates a second and instrument at most; 0: every record.
    pub max_rate: u32,
}

/// What became of the records of a subscription, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Delivered.
    pub records: u64,
    /// Replaced by a newer state.
    pub conflated: u64,
    /// Lost.
    pub dropped: u64,
}
