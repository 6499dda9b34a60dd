//! What there is to say of a connection that has ended. A shard does not log: it hands this to the
//! control plane, which does, through a bounded queue without locks.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam::queue::ArrayQueue;

use crate::clock::UnixNanos;
use crate::limits::DEPARTURES;
use crate::shard::Shard;
use crate::shard::access::Entry;
use crate::shard::audiences::Audiences;
use crate::shard::command::{Arrival, Command, Mailbox, Speech};
use crate::shard::connection::{Connection, Phase};
use crate::wire::close::CloseReason;
use crate::wire::grant::Grant;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: CloseReason,
    /// The code of the close frame, where one was sent that has any.
    pub code: Option<u16>,
}

/// A connection that has ended.
#[derive(Debug)]
pub struct Departure {
    /// Its session.
    pub session: u64,
    /// Who was there.
    pub peer: SocketAddr,
    /// The proxy that spoke for it.
    pub via: Option<IpAddr>,
    /// Its grant, where it had one.
    pub grant: Option<Arc<Grant>>,
    /// What it talked.
    pub speech: Speech,
    /// When it came, ns.
    pub since: UnixNanos,
    /// When it ended, ns.
    pub until: UnixNanos,
    /// Records that it was sent, those of replays not counted.
    pub records: u64,
    /// Bytes that the kernel took.
    pub bytes: u64,
    /// How it ended.
    pub ending: Ending,
}

impl Departure {
    /// Of a connection that is in no audience any more.
    fn of(connection: &Connection, records: u64, ending: Ending, until: UnixNanos) -> Self {
        Self {
            session: connection.session,
            peer: connection.peer,
            via: connection.pass.as_ref().and_then(|pass| pass.via),
            grant: connection.grant().cloned(),
            speech: connection.speech,
            since: connection.since,
            until,
            records,
            bytes: connection.bytes,
            ending,
        }
    }

    /// Of a connection that no shard has taken.
    fn of_arrival(arrival: &Arrival, ending: Ending, at: UnixNanos) -> Self {
        let grant = match &arrival.entry {
            Entry::Known(badge) => Some(badge.grant.clone()),
            Entry::Open | Entry::Unknown => None,
        };
        Self {
            session: arrival.session,
            peer: arrival.peer,
            via: arrival.pass.as_ref().and_then(|pass| pass.via),
            grant,
            speech: arrival.speech,
            since: at,
            until: at,
            records: 0,
            bytes: 0,
            ending,
        }
    }
}

/// Connections that have ended and have not been logged yet, of all shards.
pub struct Departures {
    queue: ArrayQueue<Departure>,
    unsaid: AtomicU64,
}

impl Default for Departures {
    fn default() -> Self {
        Self { queue: ArrayQueue::new(DEPARTURES), unsaid: AtomicU64::new(0) }
    }
}

impl Departures {
    /// Notes one; where there is no room, that there was one.
    fn note(&self, departure: Departure) {
        if self.queue.push(departure).is_err() {
            self.unsaid.fetch_add(1, Relaxed);
        }
    }

    /// The oldest.
    pub fn take(&self) -> Option<Departure> {
        self.queue.pop()
    }

    /// How many there was no room for since this was asked last.
    pub fn unsaid(&self) -> u64 {
        self.unsaid.swap(0, Relaxed)
    }
}

impl<E> Shard<E> {
    /// Notes that a connection has ended, which is in no audience any more.
    pub(super) fn note_departure(&self, connection: &Connection) {
        let ending = match connection.phase {
            Phase::Closing { ending, .. } => ending,
            // It was not told in time that the server ends.
            _ => Ending { reason: CloseReason::Drain, code: None },
        };
        let records = connection.records(&self.audiences);
        self.departures.note(Departure::of(connection, records, ending, self.now.unix));
    }
}

/// Notes a connection of a shard that has panicked, and that nobody can tell so.
pub(super) fn note_fallen(
    departures: &Departures,
    connection: &Connection,
    records: u64,
    until: UnixNanos,
) {
    let ending = match connection.phase {
        Phase::Closing { ending, .. } => ending,
        _ => Ending { reason: CloseReason::Internal, code: None },
    };
    departures.note(Departure::of(connection, records, ending, until));
}

/// Notes the connections that wait for a shard which takes none any more; what else waits is
/// dropped.
pub(super) fn note_waiting(
    departures: &Departures,
    mailbox: &Mailbox,
    reason: CloseReason,
    at: UnixNanos,
) {
    while let Some(command) = mailbox.take() {
        if let Command::Attach(arrival) = command {
            departures.note(Departure::of_arrival(&arrival, Ending { reason, code: None }, at));
            mailbox.depart();
        }
    }
}

/// What a connection of a shard that has panicked was sent, as far as that is not just what is
/// broken.
pub(super) fn records_of_fallen(connection: &Connection, audiences: &Audiences) -> u64 {
    catch_unwind(AssertUnwindSafe(|| connection.records(audiences))).unwrap_or_default()
}
