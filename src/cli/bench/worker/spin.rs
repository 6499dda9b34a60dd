//! Sockets that are read in turn, whether there is something or not, by a client that never sleeps.
//!
//! A poller that watches a socket has each send to it put it on a list, on the sender's account,
//! and what that costs depends on what the client is doing just then. A socket that nobody watches
//! costs no sender that. How often it is read still costs him: each read that finds something
//! acknowledges it, and a read and a send of the same moment wait for each other. With
//! `--read-every` all are read equally often, whatever a client has to do for each message.

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
    /// When the next look is due, where they are not to be looked at all the time.
    due: Option<Instant>,
}

impl Spun {
    /// Are they to be looked at? The schedule is absolute; where it is missed it begins anew.
    fn is_due(&mut self, now: Instant, every: Option<Duration>) -> bool {
        let Some(every) = every else { return true };
        let due = self.due.unwrap_or(now);
        if now < due {
            return false;
        }
        self.due = Some((due + every).max(now));
        true
    }

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
        let before = Instant::now();
        if self.spun.keys.is_empty() || !self.spun.is_due(before, self.task.read_every) {
            return;
        }
        let keys = self.spun.keys.clone();
        let mut vain = 0;
        for key in &keys {
            vain += u32::from(!self.read(*key, false));
        }
        if vain == keys.len() as u32 {
            self.spun.vain = before.elapsed() / vain;
        }
        self.watch.looked_in_vain(self.spun.vain * vain);
    }
}
