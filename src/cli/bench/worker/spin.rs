//! Sockets that are read in turn, whether there is something or not, by a client that never sleeps.
//!
//! A poller that watches a socket has each send to it put it on a list, on the sender's account,
//! and what that costs depends on what the client is doing just then. A socket that nobody watches
//! costs every sender the same.

use std::time::{Duration, Instant};

use super::Worker;
use crate::cli::bench::task::Role;

/// Sockets of one thread that are read like that: looking at more would take longer than a poller.
const SPUN_MAX: usize = 256;

/// Those sockets, and what looking at them in vain costs.
#[derive(Default)]
pub(super) struct Spun {
    keys: Vec<usize>,
    /// One look, as the last round of nothing but such looks showed.
    vain: Duration,
}

impl Spun {
    /// It is gone.
    pub(super) fn forget(&mut self, key: usize) {
        self.keys.retain(|spun| *spun != key);
    }
}

impl Worker {
    /// Has a subscriber read in turn, where the thread never sleeps and has few of them. One that
    /// does not read, or slowly, stays with the poller, and so does one that it won't let go.
    pub(super) fn spin(&mut self, key: usize) {
        let link = &mut self.links[key];
        let reads = link.role == Role::Measured && !link.paused;
        let wanted = self.task.spin && reads && self.spun.keys.len() < SPUN_MAX;
        if wanted && link.deregister(&self.registry).is_ok() {
            self.spun.keys.push(key);
        }
    }

    /// Looks at each of them once.
    pub(super) fn look(&mut self) {
        if self.spun.keys.is_empty() {
            return;
        }
        let keys = self.spun.keys.clone();
        let (before, mut vain) = (Instant::now(), 0);
        for key in &keys {
            vain += u32::from(!self.read(*key, false));
        }
        if vain == keys.len() as u32 {
            self.spun.vain = before.elapsed() / vain;
        }
        self.watch.looked_in_vain(self.spun.vain * vain);
    }
}
