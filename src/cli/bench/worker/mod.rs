//! One thread of the bench: a poller, its connections, one buffer that all of them read into.
//!
//! There is no task and no buffer for a connection: a thread with thousands of them costs a system
//! call and one read of the clock for each read, and little else.

mod churn;
mod link;
mod message;
mod session;
mod spin;
mod steps;
mod watch;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use mio::event::Event as Ready;
use mio::{Events, Poll, Token, Waker};
use slab::Slab;

use self::churn::Churn;
pub(crate) use self::churn::Visits;
use self::link::{BUFFER_BYTES, Link};
pub(crate) use self::message::{Event, Gone, Job, Phase};
use self::session::ENCRYPTED_BYTES;
use self::spin::Spun;
use self::watch::Watch;
use super::collector::Collector;
use super::dialogue::Step;
use super::task::{Role, Task};
use crate::clock::{Now, unix_now};

/// Handshakes under way at once, of one thread.
const DIALING: usize = 64;
/// Events of one poll at most.
const EVENTS: usize = 1024;
/// The token by which the thread is woken.
const WAKE: Token = Token(usize::MAX);
/// How often it is looked who has waited for too long.
const SWEEP: Duration = Duration::from_millis(100);
/// How often slow readers read.
const SIP: Duration = Duration::from_millis(10);
/// Reads of one connection before it is another one's turn.
const READS: usize = 16;

/// What wakes a thread to see an order.
///
/// # Errors
/// The system's.
pub(crate) fn waker(poll: &Poll) -> io::Result<Waker> {
    Waker::new(poll.registry(), WAKE)
}

/// Runs a thread's connections until all are gone.
///
/// # Errors
/// The system's, of its poller.
pub(crate) fn run(job: Job) -> io::Result<()> {
    let mut poll = job.poll;
    let registry = poll.registry().try_clone()?;
    let buffer_bytes = match job.task.target.tls() {
        Some(_) => BUFFER_BYTES + ENCRYPTED_BYTES,
        None => BUFFER_BYTES,
    };
    let mut worker = Worker {
        next: job.thread,
        churn: Churn::new(job.task.churn / job.task.threads as f64, job.visits),
        collector: Collector::new(job.interval, job.events.clone()),
        task: job.task,
        registry,
        links: Slab::new(),
        slow: Vec::new(),
        spun: Spun::default(),
        again: Vec::new(),
        buffer: vec![0; buffer_bytes],
        dialing: 0,
        began: Now::read(),
        orders: job.orders,
        phase: None,
        watch: Watch::default(),
        swept: Instant::now(),
        sipped: Instant::now(),
        events: job.events,
    };
    let mut events = Events::with_capacity(EVENTS);
    while worker.turn() {
        let spins = worker.task.spin;
        let timeout = if spins { Duration::ZERO } else { worker.timeout() };
        let before = spins.then(Instant::now);
        match poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        if let Some(before) = before.filter(|_| events.is_empty()) {
            worker.watch.looked_in_vain(before.elapsed());
        }
        events.iter().for_each(|event| worker.ready(event));
        worker.look();
    }
    let visits = Box::new(worker.churn.into_visits());
    // Where nobody listens any more, the run has been given up.
    let _ = worker.events.send(Event::Ended(visits));
    Ok(())
}

struct Worker {
    task: Arc<Task>,
    registry: mio::Registry,
    links: Slab<Link>,
    /// Those that read slowly.
    slow: Vec<usize>,
    /// Those that are read without asking whether there is something.
    spun: Spun,
    /// Those that had more to read than was their turn.
    again: Vec<usize>,
    buffer: Vec<u8>,
    collector: Collector,
    churn: Churn,
    /// The number of the connection that is opened next.
    next: usize,
    /// Connections, not visitors, that are on their way.
    dialing: usize,
    began: Now,
    orders: Receiver<Phase>,
    phase: Option<Phase>,
    watch: Watch,
    swept: Instant,
    sipped: Instant,
    events: Sender<Event>,
}

impl Worker {
    /// Everything that is due; false where there is nothing left to do.
    fn turn(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(phase) => self.order(phase),
                Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => break,
            }
        }
        for key in std::mem::take(&mut self.again) {
            self.read(key, false);
        }
        let now = Now::read();
        self.collector.turn(now.unix);
        if let Some(share) = self.watch.turn(now.unix) {
            self.tell(Event::Measured(share));
        }
        self.open(now);
        if now.mono - self.sipped >= SIP {
            self.sip(now.mono);
        }
        if now.mono - self.swept >= SWEEP {
            self.sweep(now.mono);
        }
        !(matches!(self.phase, Some(Phase::Finish)) && self.links.is_empty())
    }

    /// How long nothing is due.
    fn timeout(&self) -> Duration {
        if !self.again.is_empty() {
            return Duration::ZERO;
        }
        let now = Now::read();
        let unix = [self.collector.due(), self.watch.due(), self.visitor_due()];
        let unix = unix.into_iter().flatten().min().unwrap_or(u64::MAX);
        let until = Duration::from_nanos(unix.saturating_sub(now.unix));
        let pause = if self.slow.is_empty() { SWEEP } else { SIP };
        until.min(pause).min(self.next_opens_in(now.mono))
    }

    fn visitor_due(&self) -> Option<u64> {
        if self.churn.is_full() { None } else { self.churn.due() }
    }

    /// Long where none is to be opened, or where one has to come in first.
    fn next_opens_in(&self, now: Instant) -> Duration {
        if self.next >= self.task.population.all() || self.dialing >= self.dialing_max() {
            return Duration::MAX;
        }
        let due = self.began.mono + self.task.opens_after(self.next);
        due.saturating_duration_since(now)
    }

    /// A ramp is an open loop: connections are opened when they are due.
    fn dialing_max(&self) -> usize {
        if self.task.ramp.is_some() { usize::MAX } else { DIALING }
    }

    fn order(&mut self, phase: Phase) {
        self.phase = Some(phase);
        let all: Vec<usize> = self.links.iter().map(|(key, _)| key).collect();
        match phase {
            Phase::Subscribe => all.into_iter().for_each(|key| self.subscribe(key)),
            Phase::Measure(window) => {
                self.collector.open(window);
                self.watch.open(window);
                self.churn.open(window, unix_now());
            }
            Phase::Finish => {
                self.churn.close();
                all.into_iter().for_each(|key| self.finish(key));
            }
        }
    }

    fn subscribe(&mut self, key: usize) {
        let (link, collector) = (&mut self.links[key], &mut self.collector);
        let said = link.say(collector, |dialogue, scope| dialogue.subscribe(scope));
        self.after(key, said);
    }

    /// Reads what a connection that lags has left unread, and has the counts compared.
    fn finish(&mut self, key: usize) {
        if self.links[key].role == Role::Visitor {
            return;
        }
        self.links[key].paused = false;
        self.read(key, true);
        let (Some(link), collector) = (self.links.get_mut(key), &mut self.collector) else {
            return;
        };
        let said = link.say(collector, |dialogue, scope| dialogue.settle(scope));
        self.after(key, said);
    }

    /// Opens the connections that are due.
    fn open(&mut self, now: Now) {
        while self.next_opens_in(now.mono).is_zero() {
            let number = self.next;
            self.next += self.task.threads;
            let intended = match self.task.ramp {
                Some(_) => self.began.unix + self.task.opens_after(number).as_nanos() as u64,
                None => unix_now(),
            };
            self.dial(number, self.task.population.role(number), intended);
        }
        while let Some(due) = self.churn.next(now.unix) {
            self.dial(0, Role::Visitor, due);
        }
    }

    fn ready(&mut self, event: &Ready) {
        let key = event.token().0;
        // Events of one poll may be those of a connection that is gone by now.
        let Some(link) = self.links.get_mut(key) else { return };
        if event.is_writable() && (link.step == Step::Connecting || link.has_words()) {
            let written = link.writable(&self.task);
            self.after(key, written);
        }
        let over = event.is_read_closed() || event.is_error();
        if event.is_readable() || over {
            self.readable(key, over);
        }
    }

    /// Reads what is there; of one that reads nothing by itself only if it is over, to see how.
    #[inline]
    fn readable(&mut self, key: usize, over: bool) {
        match self.links.get(key) {
            None => {}
            Some(link) if link.step == Step::Connecting => {}
            Some(link) if link.paused && !over => {}
            Some(_) => drop(self.read(key, over)),
        }
    }

    /// Reads until a read brings less than it could have, or until nothing is left (`all`: an end
    /// that stands behind the last byte is told by no further event). Did it bring anything?
    #[inline]
    fn read(&mut self, key: usize, all: bool) -> bool {
        let Some(link) = self.links.get_mut(key) else { return false };
        let (buffer, task, collector) = (&mut self.buffer, &self.task, &mut self.collector);
        let (mut reads, mut brought) = (0, false);
        let read = loop {
            let read = link.read(buffer, usize::MAX, task, collector);
            brought |= !matches!(read, Ok(None));
            match read {
                Ok(Some(got)) if got.more || all => reads += 1,
                Ok(_) => break Ok(()),
                Err(fault) => break Err(fault),
            }
            if reads == READS && !all {
                self.again.push(key);
                break Ok(());
            }
        };
        if read.is_err() || link.step != link.followed || link.has_words() {
            self.after(key, read);
        }
        brought
    }
}
