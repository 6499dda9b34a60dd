//! The publisher's thread: the metronome's ticks, broadcast to the tasks of all subscribers.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use bytes::Bytes;
use floor::metronome::{Metronome, Wait, now};
use floor::raw48;
use tokio::sync::broadcast;

use crate::options::Options;

/// The messages of the ticks that were due at once, shared by all subscribers.
pub type Burst = Arc<[Bytes]>;

/// Bursts that a subscriber may lag; it loses what is older.
const LAG_MAX: usize = 4096;

/// A publisher that waits for its subscribers.
#[derive(Clone)]
pub struct Publisher {
    bursts: broadcast::Sender<Burst>,
    arrived: Sender<()>,
}

impl Publisher {
    /// Starts its thread.
    ///
    /// # Errors
    /// Where the system grants none.
    pub fn start(options: &Options) -> io::Result<Self> {
        let (bursts, _) = broadcast::channel(LAG_MAX);
        let (arrived, arrivals) = mpsc::channel();
        let (to, connections, rate) = (bursts.clone(), options.connections, options.rate);
        let work = move || publish(&to, &arrivals, connections, rate);
        thread::Builder::new().name("publisher".to_owned()).spawn(work)?;
        Ok(Self { bursts, arrived })
    }

    /// One subscriber more; the last one starts the ticks.
    pub fn subscribe(&self) -> broadcast::Receiver<Burst> {
        let receiver = self.bursts.subscribe();
        // Ticking already, nobody listens for arrivals any more.
        let _ = self.arrived.send(());
        receiver
    }
}

fn publish(to: &broadcast::Sender<Burst>, arrivals: &Receiver<()>, connections: u32, rate: u64) {
    for _ in 0..connections {
        if arrivals.recv().is_err() {
            return;
        }
    }
    let mut metronome = Metronome::new(rate, Wait::Sleep, now());
    let mut seq = 0;
    loop {
        metronome.wait();
        let mut burst = Vec::new();
        while let Some(tick) = metronome.due(now()) {
            for _ in 0..tick.records {
                burst.push(Bytes::copy_from_slice(&raw48::message(seq, tick.at)));
                seq += 1;
            }
        }
        if !burst.is_empty() {
            // It fails where all subscribers have left; the peer is ended soon.
            let _ = to.send(burst.into());
        }
    }
}
