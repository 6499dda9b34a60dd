//! What runs, as its parts report it on demand: plain data for pages and metrics.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::http::Downloads;
use crate::clock::UnixNanos;
pub use crate::feed::publisher::FeedReport;
pub use crate::gate::tls::TlsReport;
pub use crate::shard::audience::Counts;
pub use crate::shard::report::{Session, SessionSubscription, ShardReport};
pub use crate::tape::library::Summary;
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

    /// How it fares.
    fn health(&self) -> Health {
        Health::default()
    }

    /// What clients may have replayed, by name.
    fn recordings(&self) -> impl Future<Output = Vec<Recording>> + Send {
        async { Vec::new() }
    }

    /// Where a recording is read from, for a download.
    ///
    /// # Errors
    /// [`Missing`].
    fn recording(&self, _name: &str) -> Result<PathBuf, Missing> {
        Err(Missing::Absent)
    }

    /// What is counted of downloads.
    fn downloads(&self) -> &Arc<Downloads>;

    /// Connections that never reached a shard, by reason.
    fn refusals(&self) -> Vec<(&'static str, u64)>;

    /// What somebody tried that is not to be, by event.
    fn security(&self) -> Vec<(&'static str, u64)>;

    /// TLS, where it is spoken.
    fn tls(&self) -> Option<TlsReport> {
        None
    }

    /// Every shard, in order.
    fn shards(&self) -> impl Future<Output = Vec<ShardReport>> + Send;

    /// The feeds and the publisher.
    fn feed(&self) -> impl Future<Output = FeedReport> + Send;

    /// At most `limit` sessions with an id above `after`, by id.
    fn sessions(&self, after: u64, limit: usize) -> impl Future<Output = Vec<Session>> + Send;

    /// The last record of each schema of a mask of these instrument ids, published (with `ts_out`).
    fn last(
        &self,
        instruments: Vec<u32>,
        schemas: u32,
    ) -> impl Future<Output = Vec<Vec<u8>>> + Send;
}

/// A recording that can't be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There is none of that name.
    Absent,
    /// It can't be read, or not yet; in words.
    Unready(String),
}

/// A recording that clients may have replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its name.
    pub name: String,
    /// `ready`, `preparing` or `refused`.
    pub state: &'static str,
    /// Why it is refused; of one that is ready, what is damaged: it ends before that.
    pub reason: Option<String>,
    /// What it holds, as far as that is known.
    pub summary: Summary,
}

/// How the server fares.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Each shard, in order.
    pub shards: Vec<ShardHealth>,
    /// The memory of the process.
    pub memory: MemoryStatus,
}

/// How a shard fares. Counts are since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardHealth {
    /// Times that it panicked and began anew.
    pub restarts: u64,
    /// Times that it was found stuck.
    pub stalls: u64,
    /// Does it make no turns now?
    pub stuck: bool,
}

/// The memory of the process, as of the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStatus {
    /// Resident bytes.
    pub used: u64,
    /// Bytes that it may have, where that is bounded.
    pub max: Option<u64>,
    /// Are new connections refused?
    pub refusing: bool,
    /// Are the longest queues cut short?
    pub shedding: bool,
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
