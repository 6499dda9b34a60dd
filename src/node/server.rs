//! The server: builds, pins, starts, drains.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::gates::Gates;
use super::http::Scope;
pub use super::listeners::Addresses;
use super::listeners::Listeners;
use super::machinery::{Machinery, build, random_epoch};
use super::memory::{self, Memory};
use super::options::Options;
use super::recording::Recording;
use super::reload::Watch;
use super::report::Info;
use super::status::Running;
use super::upgrade::Offer;
use super::watchdog::Watchdog;
use crate::clock::unix_now;
use crate::feed::Feed;
use crate::feed::publisher::FeedEvent;
use crate::gate::auth::Authority;
use crate::gate::auth::files::KeysError;
use crate::gate::tls::{Tls, TlsError};
use crate::gate::{Gate, journal};
use crate::limits::{DRAIN_PER_CONNECTION, STOP_PATIENCE, WATCH};
use crate::ring::RingError;
use crate::shard::command::{Command, Mailbox};
use crate::shard::supervise::Hopeless;
use crate::socket::write::Engine;
use crate::tape::TapeError;
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
    /// What makes the shards' write engines, where it is not what the options choose: for those who
    /// embed the server, and to see what becomes of it when one fails.
    pub engines: Option<Engines>,
}

/// Makes the write engine of a shard, by its number, on its thread; anew after a panic.
pub type Engines = Arc<dyn Fn(usize) -> Box<dyn Engine> + Send + Sync>;

/// A server that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address.
    #[error("can't listen on {address}: {error}{}", advice(error))]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Its certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The socket for upgrades.
    #[error("--upgrade {}: {error}", path.display())]
    Upgrade {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The tape that is to be recorded.
    #[error("can't record: {0}")]
    Tape(#[from] TapeError),
    /// The recordings that clients may have replayed.
    #[error("--recordings {}: {error}", folder.display())]
    Recordings {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The keys of who may come in.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The file of networks that may not connect.
    #[error("{0}")]
    Deny(String),
    /// The feeds.
    #[error(transparent)]
    Feed(#[from] DirectoryError),
    /// A shard that panics again and again.
    #[error(transparent)]
    Shard(#[from] Hopeless),
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

/// What would be right instead of an address that can't be listened on.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; end what listens there, or choose another port",
        io::ErrorKind::AddrNotAvailable => "; it has to be an address of this machine",
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs CAP_NET_BIND_SERVICE, or choose another"
        }
        _ => "",
    }
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
    listening: impl FnOnce(&Addresses),
) -> Result<(), ServerError> {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watch = runtime.block_on(async { Watch::new(options) })?;
    let listeners = Listeners::bind(options)?;
    let addresses = listeners.addresses.clone();
    let tls = options.tls.clone();
    let tls = tls.map(|tls| Tls::new(tls, &addresses.all()).map(Arc::new)).transpose()?;
    let (epoch, exit) = (random_epoch()?, program.exit);
    let directory = Arc::new(Directory::default());
    let recording = Recording::claim(options, epoch)?;
    let origin = recording.origin(epoch);
    let authority = match options.auth.required || options.admin_is_exposed() {
        true => Some(Authority::new(options.auth.clone())?),
        false => {
            if options.auth.has_keys() {
                tracing::warn!(
                    "there are keys, and nobody is asked for one: with auth required clients on \
                     loopback, a proxy's among them, are asked too"
                );
            }
            None
        }
    };
    let judge = authority.as_ref().filter(|_| options.auth.required);
    let doorkeeper = judge.map(Authority::doorkeeper).transpose()?;
    let machinery = build(options, program, &directory, recording, origin, doorkeeper)?;
    let listen = addresses.public.clone();
    let version = env!("CARGO_PKG_VERSION");
    let info = Info { version, epoch: origin.epoch, started: unix_now(), listen };
    let running = Running {
        info: Arc::new(info),
        directory,
        shards: machinery.mailboxes.clone(),
        publisher: machinery.publisher.clone(),
        refusals: Arc::default(),
        security: Arc::default(),
        draining: Arc::default(),
        unready: Arc::default(),
        memory: Arc::new(Memory::new(options.memory)),
        recorder: machinery.recording.watermark(),
        tape: machinery.tape.clone(),
        library: machinery.recordings.as_ref().map(|recordings| recordings.library.clone()),
        downloads: Arc::default(),
        scope: if options.public_metrics { Scope::All } else { Scope::Public },
        tls,
    };
    let orders = Arc::new(Notify::new());
    let Gates { public: gate, admin, readers } = Gates::new(options, &running, authority, &orders)?;
    let guards = Guards::new(options.shards, &running.memory);
    let mut server =
        Server { drain: options.drain, exit, machinery, running, gate, guards, orders };
    runtime.block_on(async {
        let told = signals()?;
        tokio::spawn(watch.run(readers));
        let offer = listeners.offer(options)?;
        tracing::info!(version, epoch = origin.epoch, shards = options.shards, "started");
        listening(&addresses);
        let (listeners, operators) = listeners.begin();
        if let Some((admin, listener)) = admin.zip(operators) {
            tokio::spawn(admin.accept(listener));
        }
        server.serve(listeners, offer, told).await
    })?;
    // What the runtime still has are connections that nobody waits for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}

/// As many descriptors as the system lets us have: a connection takes one.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}

/// Why a server stops serving.
enum Stop {
    /// It was told to.
    Told,
    /// A newer process has taken over.
    Upgraded,
    /// Its feeds are over, well or with this message.
    Over(Option<String>),
    /// A part of it has failed for good.
    Broken(ServerError),
}

/// A server that has been built.
struct Server {
    drain: Duration,
    exit: bool,
    machinery: Machinery,
    running: Running,
    gate: Arc<Gate<Running>>,
    guards: Guards,
    /// Told when the operator orders a drain.
    orders: Arc<Notify>,
}

/// What looks after the server while it serves.
struct Guards {
    watchdog: Watchdog,
    memory: memory::Watch,
}

impl Guards {
    fn new(shards: usize, memory: &Arc<Memory>) -> Self {
        Self { watchdog: Watchdog::new(shards), memory: memory::Watch::new(memory.clone()) }
    }
}

impl Server {
    /// Accepts and watches until there is a reason to stop, then drains.
    async fn serve(
        &mut self,
        listeners: Vec<TcpListener>,
        mut offer: Option<Offer>,
        mut told: impl AsyncFnMut(),
    ) -> Result<(), ServerError> {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(self.gate.clone().accept(listener));
        }
        let mut stop = self.watch(&mut accepting, offer.as_mut(), &mut told).await?;
        if matches!(stop, Stop::Over(_)) {
            tokio::select! {
                () = all_sent(&self.machinery) => {}
                () = told() => stop = Stop::Told,
            }
        }
        accepting.abort_all();
        self.running.draining.store(true, Relaxed);
        // After an upgrade, whoever is still on the way in is let in, and told to come again.
        self.gate.draining.store(!matches!(stop, Stop::Upgraded), Relaxed);
        let reason = match &stop {
            Stop::Told | Stop::Upgraded | Stop::Broken(_) => CloseReason::Drain,
            Stop::Over(_) => CloseReason::GoingAway,
        };
        tracing::info!(reason = reason.name(), "draining");
        tokio::select! {
            () = self.drain(reason) => {}
            () = told() => tracing::warn!("told a second time: leaving at once"),
        }
        if let (Some(offer), false) = (offer, matches!(stop, Stop::Upgraded)) {
            offer.withdraw();
        }
        self.machinery.publisher.stop();
        self.machinery.recording.end(&mut self.machinery.events).await;
        self.stop_shards().await;
        match stop {
            Stop::Broken(error) => Err(error),
            Stop::Over(Some(failed)) => Err(ServerError::Unfinished(failed)),
            Stop::Over(None) | Stop::Told | Stop::Upgraded => Ok(()),
        }
    }

    /// Watches feeds, shards and listeners until there is a reason to stop.
    async fn watch(
        &mut self,
        accepting: &mut JoinSet<io::Result<Infallible>>,
        mut offer: Option<&mut Offer>,
        told: &mut impl AsyncFnMut(),
    ) -> Result<Stop, ServerError> {
        let mut looks = tokio::time::interval(WATCH);
        // What was missed while the process was held up is not made up for.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let upgraded = async {
                match &mut offer {
                    Some(offer) => offer.taken().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = told() => return Ok(Stop::Told),
                () = self.orders.notified() => return Ok(Stop::Told),
                () = upgraded => {
                    tracing::info!("a newer process has taken over");
                    return Ok(Stop::Upgraded);
                }
                Some(event) = self.machinery.events.recv() => {
                    tell(&self.machinery.mailboxes, &event);
                    let failed = event.state == SourceState::Failed;
                    judge(&self.running, event.state);
                    if self.exit && (failed || event.state == SourceState::Ended) {
                        return Ok(Stop::Over(failed.then_some(event.message)));
                    }
                }
                event = self.machinery.recording.event() => {
                    tell(&self.machinery.mailboxes, &event);
                }
                _ = looks.tick() => {
                    if let Some(error) = self.look() {
                        return Ok(Stop::Broken(error));
                    }
                }
                Some(ended) = accepting.join_next() => {
                    let error = ended.map_or_else(io::Error::other, |Err(error)| error);
                    return Ok(Stop::Broken(ServerError::System(error)));
                }
            }
        }
    }

    /// Looks at the shards and at the memory; an error where a shard has ended.
    fn look(&mut self) -> Option<ServerError> {
        let Machinery { mailboxes, progress, departures, .. } = &self.machinery;
        journal::say_departures(departures);
        self.guards.watchdog.look(progress, mailboxes);
        let excess = self.guards.memory.look();
        if excess > 0 {
            let each = usize::try_from(excess).unwrap_or(usize::MAX).div_ceil(mailboxes.len());
            for mailbox in mailboxes {
                // A shard whose queue is full is told the next time.
                let _ = mailbox.send(Command::Shed(each));
            }
        }
        let ended = self.machinery.threads.iter().position(JoinHandle::is_finished)?;
        match self.machinery.threads.swap_remove(ended).join() {
            Ok(Err(hopeless)) => Some(ServerError::Shard(hopeless)),
            Ok(Ok(())) => None,
            Err(_) => Some(ServerError::System(io::Error::other("a shard has died"))),
        }
    }

    /// Closes all connections, spread over the window but no longer than so many need, and returns
    /// when the last one has left or the window is over.
    async fn drain(&self, reason: CloseReason) {
        let mailboxes = &self.machinery.mailboxes;
        let connections = || mailboxes.iter().map(Mailbox::population).sum::<usize>();
        let needed = DRAIN_PER_CONNECTION * u32::try_from(connections()).unwrap_or(u32::MAX);
        let (now, spread) = (Instant::now(), needed.min(self.drain.mul_f64(0.8)));
        for mailbox in mailboxes {
            let command = Command::Drain { reason, until: now + spread, cutoff: now + self.drain };
            if mailbox.send(command).is_err() {
                tracing::warn!("a shard's queue is full: its clients are not told");
            }
        }
        let over = self.drain + Duration::from_millis(200);
        while (connections() > 0 || self.gate.waiting() > 0) && now.elapsed() < over {
            tokio::time::sleep(Duration::from_millis(5)).await;
            journal::say_departures(&self.machinery.departures);
        }
    }

    /// Ends the shards and says how each stream ended: of those whose shard hangs, how many they
    /// are. The process ends all the same.
    async fn stop_shards(&self) {
        let Machinery { mailboxes, threads, departures, .. } = &self.machinery;
        let (begun, mut untold) = (Instant::now(), mailboxes.clone());
        loop {
            untold.retain(|mailbox| mailbox.send(Command::Stop).is_err());
            journal::say_departures(departures);
            if threads.iter().all(JoinHandle::is_finished) || begun.elapsed() >= STOP_PATIENCE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        journal::say_departures(departures);
        journal::say_unheard(mailboxes.iter().map(Mailbox::population).sum());
    }
}

/// Is a server whose feed has come to this ready?
fn judge(running: &Running, state: SourceState) {
    match state {
        SourceState::Stalled | SourceState::Ended | SourceState::Failed => {
            running.unready.store(true, Relaxed);
        }
        SourceState::Resumed => running.unready.store(false, Relaxed),
        SourceState::Lapped | SourceState::ClockStepped => {}
    }
}

/// Says what became of a feed, a clock or the recorder: to the log, to the clients.
fn tell(shards: &[Mailbox], event: &FeedEvent) {
    let FeedEvent { source, state, since, seq, message } = event;
    tracing::info!(%source, state = state.name(), %message, "status");
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
