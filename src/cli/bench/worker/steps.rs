//! What follows when a connection has come a step further, or to its end.

use std::time::{Duration, Instant};

use mio::Token;

use super::link::{Fault, Link, no_tls};
use super::{Event, Gone, Worker};
use crate::cli::bench::dialogue::checks::Checks;
use crate::cli::bench::dialogue::{self, Step};
use crate::cli::bench::task::Role;
use crate::cli::client::ConnectError;
use crate::cli::client::stream::End;
use crate::cli::client::tls;
use crate::clock::unix_now;

/// Receive buffer of those that lag, bytes: a larger one hides from the server for a while that
/// nobody reads.
const LAGGING_BUFFER: usize = 64 << 10;

impl Worker {
    /// Begins to connect; what became due at `intended`, ns.
    pub(super) fn dial(&mut self, number: usize, role: Role, intended: u64) {
        self.dialing += usize::from(role != Role::Visitor);
        let buffer = role.lags().then_some(LAGGING_BUFFER);
        let socket = match self.task.route.connect(buffer) {
            Ok(socket) => socket,
            Err(reason) => {
                let address = self.task.target.authority();
                let reason = ConnectError::Refused { address, reason }.to_string();
                let step = Step::Connecting;
                return self.gone(role, intended, step, Some(reason), Checks::default());
            }
        };
        let link = Link::new(socket, role, intended, dialogue::of(&self.task, number));
        let entry = self.links.vacant_entry();
        let key = entry.key();
        let registered = entry.insert(link).register(&self.registry, Token(key));
        self.after(key, registered.map_err(Fault::from));
    }

    /// Does what follows from a read or a write.
    pub(super) fn after(&mut self, key: usize, done: Result<(), Fault>) {
        let done = done.and_then(|()| self.follow(key));
        if let Err(fault) = done {
            self.end(key, &fault);
        }
    }

    fn follow(&mut self, key: usize) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(key) else { return Ok(()) };
        if link.step > link.followed {
            link.followed = link.step;
            match link.step {
                Step::Ready => self.connected(key)?,
                Step::Subscribed => self.subscribed(key),
                Step::Settled => link.leave()?,
                _ => {}
            }
        }
        match self.links.get_mut(key) {
            Some(link) => link.write(),
            None => Ok(()),
        }
    }

    fn connected(&mut self, key: usize) -> Result<(), Fault> {
        let (link, now) = (&mut self.links[key], unix_now());
        link.patience = None;
        if link.role == Role::Visitor {
            self.churn.done(link.intended, now);
            return link.leave();
        }
        let after = Duration::from_nanos(now.saturating_sub(link.intended));
        self.dialing -= 1;
        self.tell(Event::Connected { after });
        Ok(())
    }

    fn subscribed(&mut self, key: usize) {
        let link = &mut self.links[key];
        link.patience = None;
        link.paused = link.role.lags();
        if link.role == Role::Slow {
            self.slow.push(key);
        }
        let rejected = link.rejected();
        self.spin(key);
        self.tell(Event::Subscribed { rejected });
    }

    /// A connection has ended.
    pub(super) fn end(&mut self, key: usize, fault: &Fault) {
        let Some(link) = self.links.try_remove(key) else { return };
        self.slow.retain(|slow| *slow != key);
        self.spun.forget(key);
        let reason = link.told(fault).map(|told| match (link.step, fault) {
            (Step::Securing | Step::Upgrading, Fault::End(End::Tls(error))) => {
                no_tls(&self.task, tls::explain(error)).to_string()
            }
            (Step::Securing, Fault::End(end)) => no_tls(&self.task, end.to_string()).to_string(),
            (Step::Upgrading, Fault::End(end)) => {
                let address = self.task.target.authority();
                ConnectError::Foreign { address, reason: end.to_string() }.to_string()
            }
            (Step::Greeting, Fault::End(_)) => {
                format!("{} ended before its welcome: {told}", self.task.target.authority())
            }
            _ => told,
        });
        self.gone(link.role, link.intended, link.step, reason, link.checks());
    }

    /// A connection is gone, for a reason where it did not leave by itself.
    fn gone(
        &mut self,
        role: Role,
        intended: u64,
        step: Step,
        reason: Option<String>,
        checks: Checks,
    ) {
        if role == Role::Visitor {
            self.churn.gone();
            if let (Some(reason), true) = (reason, step < Step::Ready) {
                self.churn.failed(intended, reason);
            }
            return;
        }
        if step < Step::Ready {
            self.dialing -= 1;
        }
        let gone = match reason {
            None => Gone::Left,
            Some(reason) if step < Step::Subscribed => Gone::Failed(reason),
            Some(reason) => Gone::Lost(reason),
        };
        self.tell(Event::Gone { role, gone, checks: Box::new(checks) });
    }

    /// Gives up those that have waited for too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.swept = now;
        let late = |link: &Link| link.patience.is_some_and(|until| until <= now);
        let late: Vec<(usize, Step)> = self
            .links
            .iter()
            .filter(|(_, link)| late(link))
            .map(|(key, link)| (key, link.step))
            .collect();
        for (key, step) in late {
            let silent = || ConnectError::Silent { address: self.task.target.authority() };
            let fault = match step {
                Step::Connecting | Step::Securing | Step::Upgrading => Fault::Connect(silent()),
                _ => Fault::End(End::Silent),
            };
            self.end(key, &fault);
        }
    }

    /// Has the slow readers read what they may by now.
    pub(super) fn sip(&mut self, now: Instant) {
        let time = now - std::mem::replace(&mut self.sipped, now);
        let rate = self.task.slow as f64;
        for key in self.slow.clone() {
            let Some(link) = self.links.get_mut(key).filter(|link| link.paused) else { continue };
            let mut room = link.allow(rate, time);
            let mut read = Ok(());
            while room > 0 {
                match link.read(&mut self.buffer, room, &self.task, &mut self.collector) {
                    Ok(Some(got)) if got.bytes > 0 => {
                        link.allowance -= got.bytes as f64;
                        room -= got.bytes;
                    }
                    Ok(_) => break,
                    Err(fault) => {
                        read = Err(fault);
                        break;
                    }
                }
            }
            self.after(key, read);
        }
    }

    pub(super) fn tell(&self, event: Event) {
        // Where nobody listens any more, the run has been given up.
        let _ = self.events.send(event);
    }
}
