//! The threads that ticks go through: the ring is made, the shards and the publisher are started.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::mpsc;

use super::engine;
use super::options::{Options, Start};
use super::recording::Recording;
use super::recordings::{self, Recordings};
use super::server::{Engines, Program, ServerError};
use crate::feed::publisher::{self, FeedEvent, Handle, Publisher};
use crate::ring::{Progresses, Ring, ring_from};
use crate::shard;
use crate::shard::access::Doorkeeper;
use crate::shard::command::Mailbox;
use crate::shard::course::{Shelf, Tape};
use crate::shard::departure::Departures;
use crate::shard::supervise::{self, Hopeless};
use crate::tape::recorder::Origin;
use crate::wire::instrument::Directory;

/// The threads of a server.
pub(super) struct Machinery {
    /// The ways into the shards.
    pub(super) mailboxes: Vec<Mailbox>,
    /// The shards' threads.
    pub(super) threads: Vec<JoinHandle<Result<(), Hopeless>>>,
    /// The publisher.
    pub(super) publisher: Handle,
    /// How far the shards are.
    pub(super) progress: Progresses,
    /// The ring.
    pub(super) ring: Ring,
    /// What becomes of the feeds.
    pub(super) events: mpsc::UnboundedReceiver<FeedEvent>,
    /// The tape that it writes, where there is one.
    pub(super) tape: Option<Tape>,
    /// What clients may have replayed besides, where there is anything.
    pub(super) recordings: Option<Recordings>,
    /// The recorder, where there is one.
    pub(super) recording: Recording,
    /// Connections that have ended.
    pub(super) departures: Arc<Departures>,
}

/// A random number that is not 0.
pub(super) fn random_epoch() -> io::Result<u64> {
    loop {
        match SysRng.try_next_u64() {
            Ok(0) => {}
            Ok(epoch) => return Ok(epoch),
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
}

/// Builds the ring and starts shards and publisher. The publisher registers its instruments before
/// the shards look at the directory, and they have their readers before it publishes; so has the
/// recorder.
pub(super) fn build(
    options: &Options,
    program: Program,
    directory: &Arc<Directory>,
    mut recording: Recording,
    origin: Origin,
    door: Option<Arc<dyn Doorkeeper>>,
) -> Result<Machinery, ServerError> {
    let engine = engine::probe(options.engine).map_err(ServerError::Engine)?;
    let (mut writer, ring) = ring_from(options.ring_bytes, origin.seq + 1, origin.ts_out)?;
    let progress = recording.progress(options.shards);
    let (epoch, recorder) = (origin.epoch, (ring.clone(), ring.reader(), options.shards));
    let (sender, events) = mpsc::unbounded_channel();
    let elastic = program.elastic;
    let tape = match &options.record {
        Some(record) => Some(Tape::of(&record.folder)?),
        None => None,
    };
    let recordings = options.recordings.as_ref().map(|options| {
        let failed = |error| ServerError::Recordings { folder: options.folder.clone(), error };
        recordings::start(options).map_err(failed)
    });
    let recordings = recordings.transpose()?;
    let shelf = recordings.as_ref().map(|recordings| Shelf::of(recordings.library.clone()));
    let shelf = shelf.transpose()?;
    // A recorder sleeps, whatever the shards do.
    let sleepless = options.busy && options.record.is_none();
    if sleepless {
        writer.never_wake();
    }
    let departures = Arc::<Departures>::default();
    let mut shards = Vec::new();
    for id in 0..options.shards {
        let (poll, waker) = shard::run::poller()?;
        if !sleepless {
            ring.waits().register(id, waker.clone());
        }
        shards.push(shard::Parts {
            id,
            ring: ring.clone(),
            reader: ring.reader(),
            tape: tape.clone(),
            shelf: shelf.clone(),
            door: door.clone(),
            departures: departures.clone(),
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
    recording.start(recorder, directory, &progress, elastic)?;
    let engines = program.engines.unwrap_or_else(|| Arc::new(move |_| engine::make(engine)));
    let threads = start_shards(shards, options.pin, &engines)?;
    let publisher = publisher.start()?;
    Ok(Machinery {
        mailboxes,
        threads,
        publisher,
        progress,
        ring,
        events,
        tape,
        recordings,
        recording,
        departures,
    })
}

fn start_shards(
    parts: Vec<shard::Parts>,
    pin: bool,
    engines: &Engines,
) -> io::Result<Vec<JoinHandle<Result<(), Hopeless>>>> {
    let cores = sched_getaffinity(None)?;
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)).collect();
    // The first core is left to the feed and the gate where there is one to spare.
    let spare = usize::from(allowed.len() > parts.len());
    let start = |parts: shard::Parts| {
        let core = allowed[(parts.id + spare) % allowed.len()];
        let (id, name) = (parts.id, format!("shard-{}", parts.id));
        let engines = engines.clone();
        std::thread::Builder::new().name(name).spawn(move || {
            if pin {
                let mut set = CpuSet::new();
                set.set(core);
                if let Err(error) = sched_setaffinity(None, &set) {
                    tracing::warn!(core, %error, "a shard can't be pinned");
                }
            }
            supervise::run(parts, || engines(id))
        })
    };
    parts.into_iter().map(start).collect()
}
