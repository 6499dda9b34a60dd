//! What runs, as its parts report it on demand: plain data for pages and metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::UnixNanos;
pub use crate::feed::publisher::FeedReport;
pub use crate::shard::audience::Counts;
pub use crate::shard::report::{Session, SessionSubscription, ShardReport};
pub use crate::tape::desk::Contents;
pub use crate::tape::recorder::RecorderStatus;
use crate::wire::instrument::Directory;

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

    /// The recorder, where there is one.
    fn recorder(&self) -> Option<RecorderStatus> {
        None
    }

    /// What clients may have replayed, by name.
    fn recordings(&self) -> impl Future<Output = Vec<(String, Arc<Contents>)>> + Send {
        async { Vec::new() }
    }

    /// Connections that never reached a shard, by reason.
    fn refusals(&self) -> Vec<(&'static str, u64)>;

    /// What somebody tried that is not to be, by event.
    fn security(&self) -> Vec<(&'static str, u64)>;

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
