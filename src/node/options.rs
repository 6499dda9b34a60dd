//! What was configured, checked: plain data that the rest of the program is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::UnixNanos;
use crate::feed::source::Recording;
pub use crate::gate::DoorRules;
pub use crate::gate::auth::AuthOptions;
pub use crate::gate::tls::{Pair, TlsOptions};
use crate::limits::ClientLimits;
pub use crate::tape::recorder::{Durability, RecordOptions};

/// What a server is built and run with, whatever its feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it listens, one socket each; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// How what is listened on is encrypted, where it is.
    pub tls: Option<TlsOptions>,
    /// Shard threads, 1 to [`SHARDS_MAX`](crate::limits::SHARDS_MAX).
    pub shards: usize,
    /// Bytes of the ring.
    pub ring_bytes: usize,
    /// When the feeds begin.
    pub start: Start,
    /// Never park: readers spin, a core each.
    pub busy: bool,
    /// Pin each shard to a core of the inherited CPU mask.
    pub pin: bool,
    /// How framed bytes reach the kernel.
    pub engine: EngineChoice,
    /// Collect for this long before a send; none: send when a turn is done.
    pub flush_interval: Option<Duration>,
    /// Window over which connections are closed on SIGTERM.
    pub drain: Duration,
    /// Where a newer process takes the listening sockets over, and this one from an older one.
    pub upgrade: Option<PathBuf>,
    /// From accept to the answer of a handshake.
    pub handshake: Duration,
    /// Memory that the process may have.
    pub memory: MemoryMax,
    /// Serve `/v1/echo`, for conformance tests.
    pub enable_echo: bool,
    /// Who may knock.
    pub door: DoorRules,
    /// More who may not, as a file that is read again at SIGHUP.
    pub deny_file: Option<PathBuf>,
    /// Where the operator's own pages and orders are.
    pub admin_listen: Option<SocketAddr>,
    /// Has everybody `/metrics` and `/v1/sessions`?
    pub public_metrics: bool,
    /// Who may come in.
    pub auth: AuthOptions,
    /// The bounds on one client.
    pub clients: ClientLimits,
    /// The tape that is recorded, where one is.
    pub record: Option<RecordOptions>,
    /// What clients may have replayed besides, where anything is.
    pub recordings: Option<RecordingsOptions>,
}

impl Options {
    /// Is the operator's listener reached from other machines? Then operators show tokens.
    pub fn admin_is_exposed(&self) -> bool {
        self.admin_listen.is_some_and(|address| !address.ip().to_canonical().is_loopback())
    }
}

/// Where recordings are, and where copies of them are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingsOptions {
    /// The folder.
    pub folder: PathBuf,
    /// Where the copies of DBN files are; none: in a hidden folder of that one, or where that can't
    /// be, in a temporary one.
    pub cache: Option<PathBuf>,
}

/// How framed bytes reach the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where the kernel has it, else readiness.
    Auto,
    /// Readiness: a system call for each send.
    Epoll,
    /// io_uring: a system call for many sends; the server does not start where there is none.
    Uring,
}

/// Memory that the process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMax {
    /// What its control group and its resource limits allow.
    Auto,
    /// As much as there is.
    None,
    /// So many resident bytes.
    Bytes(u64),
}

/// When the feeds begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At once.
    Now,
    /// Once this many connections have subscribed.
    OnSubscribe(usize),
}

/// Where the ticks come from.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedOptions {
    /// The simulated market.
    Sim {
        /// A scenario's name, or the path of its file.
        scenario: String,
        /// Instruments.
        symbols: u32,
        /// Records a second.
        rate: u64,
        /// The same seed makes the same market.
        seed: u64,
    },
    /// Evenly paced trades, for comparisons.
    Metronome {
        /// Instruments.
        symbols: u32,
        /// Records a second.
        rate: u64,
    },
    /// Recorded files.
    Replay {
        /// Recordings of any format, merged by time.
        files: Vec<Recording>,
        /// Nothing before this index time, ns.
        from: Option<UnixNanos>,
        /// Nothing from this index time on, ns.
        to: Option<UnixNanos>,
        /// How fast.
        speed: Speed,
        /// Longer holes are shortened to this.
        max_gap: Option<Duration>,
        /// Start over at the end.
        repeat: bool,
        /// Add the schemas that can be derived.
        derive: bool,
        /// Leave at the end, once the last client has its records.
        exit: bool,
    },
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Times its own pace, 0.01 to 1000.
    Times(f64),
    /// As fast as the slowest subscriber takes it.
    Max,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A level, or `target=level` directives, comma separated.
    pub filter: String,
    /// Its form.
    pub format: LogFormat,
}

/// The form of the log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
