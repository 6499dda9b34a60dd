//! HTTP on one connection: its requests and their answers, how long they may take, and what ends
//! them before. Lists and keys that change hold for answers that are under way as well.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::timeout;

use super::admission::Turned;
use super::body::Taken;
use super::security::Event;
use super::strict::Strict;
use super::tls::Wire;
use super::{Caller, Gate, Guest, Pages, Waiting};
use crate::limits::{HTTP_LIFE, HTTP_STALL, HTTP_WRITE, REQUEST_HEAD_MAX, REQUEST_HEADERS_MAX};
use crate::wire::grant::{Access, Grant};

/// Told when lists or keys have changed.
pub(super) type Reviews = watch::Receiver<()>;

/// Who was answered last on a connection.
#[derive(Debug, Default)]
pub(super) struct Asker(Mutex<Option<(Caller, Access)>>);

impl Asker {
    /// This one is answered from now on.
    pub(super) fn is(&self, caller: Caller, access: Access) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((caller, access));
    }

    fn get(&self) -> Option<(Caller, Access)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why somebody who was let in would not be any more.
enum Fallen {
    /// The lists say so.
    Turned(Caller, Turned),
    /// What it said who it is by counts no more.
    Revoked(Caller, &'static str),
}

impl<P: Pages> Gate<P> {
    /// Answers the requests of one connection; a handshake is the last of them.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: Wire,
        guest: Guest,
        waiting: Waiting,
        until: Instant,
        reviews: Reviews,
    ) {
        let (caller, asker) = (guest.caller, guest.asker.clone());
        tokio::select! {
            () = self.clone().exchange(stream, guest, waiting, until) => {}
            fallen = self.falls(reviews, caller, &asker) => self.cut_off(&fallen),
        }
    }

    /// Answers until the connection's time is over, or its client has what it wanted.
    async fn exchange(
        self: Arc<Self>,
        stream: Wire,
        guest: Guest,
        waiting: Waiting,
        until: Instant,
    ) {
        let (gate, caller) = (self.clone(), guest.caller);
        // It waits for its first answer; one that streams, until a shard has it.
        let (first, taken) = (Cell::new(Some(waiting)), Arc::new(Taken::default()));
        let counter = taken.clone();
        let service = service_fn(move |request| {
            let (gate, guest) = (gate.clone(), guest.clone());
            let (waiting, counter) = (first.take(), counter.clone());
            async move {
                let answer = gate.answer(request, guest, waiting).await;
                Ok::<_, Infallible>(answer.map(|body| body.counted(&counter)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(until.saturating_duration_since(Instant::now()))
            .max_buf_size(REQUEST_HEAD_MAX)
            .max_headers(REQUEST_HEADERS_MAX)
            .serve_connection(TokioIo::new(Strict::new(stream)), service)
            .with_upgrades();
        tokio::pin!(connection);
        let mut life = HTTP_LIFE;
        let served = loop {
            match timeout(life, connection.as_mut()).await {
                Ok(served) => break served,
                // A download takes as long as its client takes it.
                Err(_) if taken.has_grown() => life = HTTP_STALL,
                Err(_) => {
                    connection.as_mut().graceful_shutdown();
                    break timeout(HTTP_WRITE, connection).await.unwrap_or(Ok(()));
                }
            }
        };
        if let Err(error) = served {
            if error.is_timeout() {
                self.refusals.timeout.fetch_add(1, Relaxed);
            }
            tracing::debug!(peer = %caller, %error, "http connection ended");
        }
    }

    /// Returns once who has connected, or who was answered last, would not be let in any more.
    async fn falls(&self, mut reviews: Reviews, connected: Caller, asker: &Asker) -> Fallen {
        loop {
            if reviews.changed().await.is_err() {
                // There is no door any more, and so nothing that could change.
                return std::future::pending().await;
            }
            let asked = asker.get();
            let callers = [Some(connected), asked.as_ref().map(|(caller, _)| *caller)];
            for caller in callers.into_iter().flatten() {
                if let Err(turned) = self.door.check_lists(&caller) {
                    return Fallen::Turned(caller, turned);
                }
            }
            if let Some((caller, Access::Granted(grant))) = &asked
                && let Err(words) = self.stands(grant)
            {
                return Fallen::Revoked(*caller, words);
            }
        }
    }

    /// Does a grant stand, and give what it gave?
    fn stands(&self, grant: &Grant) -> Result<(), &'static str> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let standing = authority.standing();
        standing.judge(grant)?;
        match standing.newer(grant) {
            Some(newer) if newer.rights != grant.rights => Err("its key gives something else now"),
            _ => Ok(()),
        }
    }

    /// Counts and logs somebody whose connection has been dropped, whatever it was being sent.
    fn cut_off(&self, fallen: &Fallen) {
        match fallen {
            Fallen::Turned(caller, turned) => {
                self.refusals.turned.fetch_add(1, Relaxed);
                self.door.turned(caller, *turned);
            }
            Fallen::Revoked(caller, words) => self.door.security.note(Event::Auth, caller, words),
        }
    }
}
