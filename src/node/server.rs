//! The server: builds, pins, starts, drains.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::mpsc;

use super::engine;
use super::options::{EngineChoice, Options, Start};
use super::report::Info;
use super::status::Running;
use crate::clock::{Now, unix_now};
use crate::feed::Feed;
use crate::feed::publisher::{self, FeedEvent, Handle, Publisher};
use crate::gate::{self, Gate};
use crate::limits::DRAIN_PER_CONNECTION;
use crate::ring::{Progresses, Ring, RingError, ring};
use crate::shard::command::{Command, Mailbox};
use crate::shard::{self, Shard};
use crate::wire::close::CloseReason;
use crate::wire::instrument::{Directory, DirectoryError};
use crate::wire::message::{SourceState, Status as StatusMessage};

/// What is played, and how it ends.
pub struct Program {
    /// The feeds.
    pub feeds: Vec<Box<dyn Feed>>,
    /// Mask of the schemas to derive.
    pub derive: u32,
    /// Does a feed wait for the slowest connection?
    pub elastic: bool,
    /// Leave when the feeds have ended and every client has its records.
    pub exit: bool,
}

/// A server that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The feeds.
    #[error(transparent)]
    Feed(#[from] DirectoryError),
    /// A feed that was to be played to its end: what was wrong, where, and what was played.
    #[error("{0}")]
    Unfinished(String),
    /// The write engine that was asked for.
    #[error("--engine uring: the system has no io_uring for us ({0}); epoll works everywhere")]
    Engine(io::Error),
    /// A thread, a poller, a runtime.
    #[error("the system refuses what a server needs: {0}")]
    System(#[from] io::Error),
}

/// The threads of a server.
struct Machinery {
    mailboxes: Vec<Mailbox>,
    threads: Vec<JoinHandle<()>>,
    publisher: Handle,
    progress: Progresses,
    ring: Ring,
    events: mpsc::UnboundedReceiver<FeedEvent>,
}

/// Runs a server until it is told to end, once gently, twice at once: by what `signals` returns,
/// which is called before `listening` gets the bound addresses, so that whoever knows that the
/// server listens can tell it to end. The first connection is accepted after both.
///
/// # Errors
/// [`ServerError`]: before anything is served; and after all is, where it was to exit at the end of
/// its feeds and one of them failed.
pub fn run<S: AsyncFnMut()>(
    options: &Options,
    program: Program,
    signals: impl FnOnce() -> io::Result<S>,
    listening: impl FnOnce(&[SocketAddr]),
) -> Result<(), ServerError> {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listeners = options.listen.iter().map(|address| listen(*address));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let (epoch, exit) = (random_epoch()?, program.exit);
    let directory = Arc::new(Directory::default());
    let machinery = build(options, program, &directory, epoch)?;
    let listen = addresses.clone();
    let version = env!("CARGO_PKG_VERSION");
    let info = Info { version, epoch, started: unix_now(), listen };
    let running = Running {
        info: Arc::new(info),
        directory,
        shards: machinery.mailboxes.clone(),
        publisher: machinery.publisher.clone(),
        refusals: Arc::default(),
        draining: Arc::default(),
        unready: Arc::default(),
    };
    let gate = Arc::new(Gate {
        shards: machinery.mailboxes.clone(),
        pages: running.clone(),
        handshake: options.handshake,
        echo: options.enable_echo,
        draining: AtomicBool::new(false),
        sessions: AtomicU64::new(0),
        refusals: running.refusals.clone(),
    });
    runtime.block_on(async {
        let told = signals()?;
        listening(&addresses);
        serve(options, exit, machinery, running, gate, listeners, told).await
    })?;
    // What the runtime still has are connections that nobody waits for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    gate::listen(address).map_err(|error| ServerError::Listen { address, error })
}

/// As many descriptors as the system lets us have: a connection takes one.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}

/// A random number that is not 0.
fn random_epoch() -> io::Result<u64> {
    loop {
        match SysRng.try_next_u64() {
            Ok(0) => {}
            Ok(epoch) => return Ok(epoch),
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
}

/// Builds the ring and starts shards and publisher. The publisher registers its instruments before
/// the shards look at the directory, and they have their readers before it publishes.
fn build(
    options: &Options,
    program: Program,
    directory: &Arc<Directory>,
    epoch: u64,
) -> Result<Machinery, ServerError> {
    let engine = engine::probe(options.engine).map_err(ServerError::Engine)?;
    let (writer, ring) = ring(options.ring_bytes)?;
    let progress = Progresses::new(options.shards);
    let (sender, events) = mpsc::unbounded_channel();
    let elastic = program.elastic;
    let mut shards = Vec::new();
    for id in 0..options.shards {
        let (poll, waker) = shard::run::poller()?;
        ring.waits().register(id, waker.clone());
        shards.push(shard::Parts {
            id,
            ring: ring.clone(),
            reader: ring.reader(),
            directory: directory.clone(),
            mailbox: Mailbox::new(waker),
            poll,
            progress: progress.clone(),
            elastic,
            epoch,
            limits: options.clients.clone(),
            flush_interval: options.flush_interval,
            busy: options.busy,
        });
    }
    let mailboxes = shards.iter().map(|parts| parts.mailbox.clone()).collect();
    let publisher = Publisher::new(publisher::Parts {
        feeds: program.feeds,
        derive: program.derive,
        writer,
        directory: directory.clone(),
        progress: progress.clone(),
        hold: match options.start {
            Start::Now => 0,
            Start::OnSubscribe(connections) => connections as u64,
        },
        queue: options.clients.queue,
        epoch,
        events: sender,
    })?;
    let threads = start_shards(shards, options.pin, engine)?;
    let publisher = publisher.start()?;
    Ok(Machinery { mailboxes, threads, publisher, progress, ring, events })
}

fn start_shards(
    parts: Vec<shard::Parts>,
    pin: bool,
    choice: EngineChoice,
) -> io::Result<Vec<JoinHandle<()>>> {
    let cores = sched_getaffinity(None)?;
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)).collect();
    // The first core is left to the feed and the gate where there is one to spare.
    let spare = usize::from(allowed.len() > parts.len());
    let start = |parts: shard::Parts| {
        let core = allowed[(parts.id + spare) % allowed.len()];
        let name = format!("shard-{}", parts.id);
        std::thread::Builder::new().name(name).spawn(move || {
            if pin {
                let mut set = CpuSet::new();
                set.set(core);
                if let Err(error) = sched_setaffinity(None, &set) {
                    tracing::warn!(core, %error, "a shard can't be pinned");
                }
            }
            Shard::new(parts, engine::make(choice), Now::read()).run();
        })
    };
    parts.into_iter().map(start).collect()
}

/// Accepts and watches until it is told to end, then drains.
async fn serve(
    options: &Options,
    exit: bool,
    mut machinery: Machinery,
    running: Running,
    gate: Arc<Gate<Running>>,
    listeners: Vec<TcpListener>,
    mut told: impl AsyncFnMut(),
) -> Result<(), ServerError> {
    let mut accepting = tokio::task::JoinSet::new();
    for listener in listeners {
        accepting.spawn(gate.clone().accept(listener));
    }
    let mut alive = tokio::time::interval(Duration::from_millis(200));
    let mut failed = None;
    let mut reason = loop {
        tokio::select! {
            () = told() => break CloseReason::Drain,
            Some(event) = machinery.events.recv() => {
                tell(&machinery.mailboxes, &running, &event);
                if exit && matches!(event.state, SourceState::Ended | SourceState::Failed) {
                    failed = (event.state == SourceState::Failed).then_some(event.message);
                    break CloseReason::GoingAway;
                }
            }
            _ = alive.tick() => {
                if machinery.threads.iter().any(JoinHandle::is_finished) {
                    return Err(ServerError::System(io::Error::other("a shard has died")));
                }
            }
            Some(ended) = accepting.join_next() => {
                if let Ok(Err(error)) = ended {
                    return Err(ServerError::System(error));
                }
            }
        }
    };
    if reason == CloseReason::GoingAway {
        tokio::select! {
            () = all_sent(&machinery) => {}
            () = told() => reason = CloseReason::Drain,
        }
    }
    tracing::info!(reason = reason.name(), "draining");
    accepting.abort_all();
    running.draining.store(true, Relaxed);
    gate.draining.store(true, Relaxed);
    tokio::select! {
        () = drain(options.drain, reason, &machinery) => {}
        () = told() => tracing::warn!("told a second time: leaving at once"),
    }
    machinery.publisher.stop();
    for mailbox in &machinery.mailboxes {
        // A shard that can't be told is stuck; the process ends all the same.
        let _ = mailbox.send(Command::Stop);
    }
    failed.map_or(Ok(()), |message| Err(ServerError::Unfinished(message)))
}

/// Says what became of a feed: to the log, to readiness, to the clients.
fn tell(shards: &[Mailbox], running: &Running, event: &FeedEvent) {
    let FeedEvent { source, state, since, seq, message } = event;
    tracing::info!(%source, state = state.name(), %message, "feed");
    match state {
        SourceState::Stalled | SourceState::Ended | SourceState::Failed => {
            running.unready.store(true, Relaxed);
        }
        SourceState::Resumed => running.unready.store(false, Relaxed),
        SourceState::ClockStepped => {}
    }
    let mut text = Vec::new();
    StatusMessage { source, state: *state, since: *since, message }.write(&mut text);
    let text: Arc<str> = String::from_utf8_lossy(&text).into();
    for shard in shards {
        if shard.send(Command::Announce { after: *seq, text: text.clone() }).is_err() {
            tracing::warn!("a shard's queue is full: its clients are not told");
        }
    }
}

/// Waits until every shard has read what was published and no connection has unsent bytes.
async fn all_sent(machinery: &Machinery) {
    loop {
        let read = machinery.progress.slowest_read() >= machinery.ring.committed();
        if read && machinery.progress.max_queued() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Closes all connections, spread over the window but no longer than so many need, and returns when
/// the last one has left or the window is over.
async fn drain(window: Duration, reason: CloseReason, machinery: &Machinery) {
    let connections = || machinery.mailboxes.iter().map(Mailbox::population).sum::<usize>();
    let needed = DRAIN_PER_CONNECTION * u32::try_from(connections()).unwrap_or(u32::MAX);
    let (now, spread) = (Instant::now(), needed.min(window.mul_f64(0.8)));
    for mailbox in &machinery.mailboxes {
        let command = Command::Drain { reason, until: now + spread, cutoff: now + window };
        if mailbox.send(command).is_err() {
            tracing::warn!("a shard's queue is full: its clients are not told");
        }
    }
    while connections() > 0 && now.elapsed() < window + Duration::from_millis(200) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
