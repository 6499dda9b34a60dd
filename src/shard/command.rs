//! The only way into a shard from outside: a bounded queue of commands, and a waker.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam::queue::ArrayQueue;
use tokio::sync::oneshot;

use crate::limits::COMMAND_QUEUE;
use crate::ring::Wake;
use crate::shard::access::{Entry, Verdict};
use crate::shard::replay::Opened;
use crate::shard::report::{Session as SessionReport, ShardReport};
use crate::socket::tls::Session;
use crate::tape::desk::Found;
use crate::wire::close::CloseReason;
use crate::wire::encoding::Encoding;
use crate::wire::error::ControlError;
use crate::wire::grant::Standing;

/// How often a full queue is tried, a millisecond apart.
const INSISTENCE: u32 = 1_000;

/// What an upgraded connection talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// `/v1/stream`.
    Stream(Encoding),
    /// `/v1/echo`.
    Echo,
}

/// Says of an address whether it is denied.
pub type Denied = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// An established connection on its way to a shard.
#[derive(Debug)]
pub struct Arrival {
    /// Its session number, unique in this run.
    pub session: u64,
    /// Non-blocking, prepared for streaming.
    pub stream: std::net::TcpStream,
    /// Its TLS, where it is encrypted.
    pub tls: Option<Box<Session>>,
    /// Bytes that came behind the handshake, decrypted.
    pub leftover: Bytes,
    /// Who is there.
    pub peer: SocketAddr,
    /// What it talks.
    pub speech: Speech,
    /// How it comes in.
    pub entry: Entry,
    /// What the gate has for it; none where there was no gate.
    pub pass: Option<Box<Pass>>,
}

/// What a connection holds for as long as it lives.
pub struct Pass {
    /// The proxy that speaks for the peer.
    pub via: Option<IpAddr>,
    /// Has it a name, by which a newer one may take over?
    pub named: bool,
    /// What is counted by the gate until it is dropped, without a lock.
    pub held: Box<dyn Send + Sync>,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("via", &self.via).finish_non_exhaustive()
    }
}

/// What a read of the tape is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To find the position that a subscribe wants to start from.
    Locate,
    /// To go on catching up.
    CatchUp,
    /// For a replay: its number, and that of the read, so that it knows what it waits for no more.
    Replay(u32, u64),
}

/// A request from the control plane.
pub enum Command {
    /// Take this connection.
    Attach(Box<Arrival>),
    /// Tell every client, once it has been handed the records before.
    Announce {
        /// The last of these records.
        after: u64,
        /// A whole message.
        text: Arc<str>,
    },
    /// Close all connections, evenly until `until`, and accept no new ones.
    Drain {
        /// Why.
        reason: CloseReason,
        /// When the last one is told.
        until: Instant,
        /// When what is left is cut off.
        cutoff: Instant,
    },
    /// Memory is short: cut the longest queues until so many bytes are free.
    Shed(usize),
    /// Say how it goes.
    Report(oneshot::Sender<ShardReport>),
    /// List up to `limit` sessions with a number above `after`.
    Sessions {
        /// The last one that is known.
        after: u64,
        /// How many.
        limit: usize,
        /// To whom.
        reply: oneshot::Sender<Vec<SessionReport>>,
    },
    /// The last records of these instruments.
    Last {
        /// Their ids.
        instruments: Vec<u32>,
        /// Mask of the schemas.
        schemas: u32,
        /// To whom: published records.
        reply: oneshot::Sender<Vec<Vec<u8>>>,
    },
    /// Tell a session to go.
    Disconnect {
        /// Which.
        session: u64,
        /// Why.
        reason: CloseReason,
        /// Was it there?
        reply: oneshot::Sender<bool>,
    },
    /// The desk has read something for a connection.
    Read {
        /// Its number in the shard, which may be another's by now.
        token: u32,
        /// Its session.
        session: u64,
        /// What it was for.
        errand: Errand,
        /// What was found.
        found: Found,
    },
    /// A recording has been opened for a connection's replay, or can't be.
    Opened {
        /// As of [`Command::Read`].
        token: u32,
        /// As of [`Command::Read`].
        session: u64,
        /// The recording, or why not.
        opened: Result<Opened, ControlError>,
    },
    /// What a connection said who it is by has been judged.
    Judged {
        /// As of [`Command::Read`].
        token: u32,
        /// As of [`Command::Read`].
        session: u64,
        /// The verdict.
        verdict: Verdict,
    },
    /// Keys and revocations have changed: who is not what it was any more has to go.
    Review(Arc<Standing>),
    /// These addresses are denied from now on: who has come from one has to go.
    Expel(Denied),
    /// End the thread; what is left of connections is cut off.
    Stop,
}

/// A shard's address.
#[derive(Clone)]
pub struct Mailbox {
    queue: Arc<ArrayQueue<Command>>,
    waker: Arc<dyn Wake>,
    population: Arc<AtomicUsize>,
    health: Arc<Health>,
}

/// How a shard fares: what its supervisor and its watchdog have seen.
#[derive(Default)]
struct Health {
    restarts: AtomicU64,
    stalls: AtomicU64,
    stuck: AtomicBool,
}

impl Mailbox {
    /// An empty mailbox whose shard is woken by `waker`.
    pub fn new(waker: Arc<dyn Wake>) -> Self {
        let queue = Arc::new(ArrayQueue::new(COMMAND_QUEUE));
        Self { queue, waker, population: Arc::default(), health: Arc::default() }
    }

    /// Connections that the shard has or will take.
    pub fn population(&self) -> usize {
        self.population.load(Relaxed)
    }

    /// Sends a connection, which counts at once.
    ///
    /// # Errors
    /// As of [`Mailbox::send`].
    pub fn attach(&self, arrival: Arrival) -> Result<(), Command> {
        self.population.fetch_add(1, Relaxed);
        self.send(Command::Attach(Box::new(arrival))).inspect_err(|_| self.depart())
    }

    /// A connection has ended.
    pub(super) fn depart(&self) {
        self.population.fetch_sub(1, Relaxed);
    }

    /// Times that the shard has panicked and begun anew.
    pub fn restarts(&self) -> u64 {
        self.health.restarts.load(Relaxed)
    }

    /// It begins anew.
    pub(super) fn restarted(&self) {
        self.health.restarts.fetch_add(1, Relaxed);
    }

    /// Does it make no turns any more?
    pub fn is_stuck(&self) -> bool {
        self.health.stuck.load(Relaxed)
    }

    /// Times that it was found stuck.
    pub fn stalls(&self) -> u64 {
        self.health.stalls.load(Relaxed)
    }

    /// Whoever watches it has found it stuck, or moving again.
    pub fn set_stuck(&self, stuck: bool) {
        let before = self.health.stuck.swap(stuck, Relaxed);
        self.health.stalls.fetch_add(u64::from(stuck && !before), Relaxed);
    }

    /// Sends a command.
    ///
    /// # Errors
    /// The command, where the queue is full: the shard is overloaded or stuck.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.queue.push(command)?;
        self.waker.wake();
        Ok(())
    }

    /// Sends a command that somebody waits for, from a thread that may wait as well: a queue that
    /// is full is tried for a while.
    pub(super) fn insist(&self, mut command: Command) {
        for _ in 0..INSISTENCE {
            match self.send(command) {
                Ok(()) => return,
                Err(refused) => command = refused,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        tracing::error!("a shard takes no commands: what a client waits for is lost");
    }

    /// Takes the oldest command.
    pub(super) fn take(&self) -> Option<Command> {
        self.queue.pop()
    }

    /// Is there none?
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
