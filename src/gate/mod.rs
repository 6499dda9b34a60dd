//! gate: who comes in. Accepts, answers HTTP, upgrades, and hands connections to the shards.
//!
//! It runs on a thread of its own, so that a storm of reconnects moves nobody's stream. What is not
//! the stream's is answered by the pages it was given.

mod admission;
pub mod auth;
mod body;
mod door;
mod entrance;
mod exchange;
mod forwarded;
pub mod handshake;
pub mod journal;
mod names;
mod networks;
pub mod proxied;
pub mod security;
mod site;
pub mod strict;
pub mod tls;
pub mod watched;

pub use admission::AdmissionRules;
pub use door::{Caller, Door, DoorRules};
pub use names::Names;
pub use networks::{Networks, NotANetwork};
pub use site::{NotASite, Sites};

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use fastwebsockets::upgrade::UpgradeFut;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{ACCEPT_PAUSE, ACCEPTS_PER_TURN, GATE_CONNECTIONS, LISTEN_BACKLOG};
use crate::shard::access::Entry;
use crate::shard::command::{Arrival, Mailbox, Pass, Speech};
use crate::socket;
use crate::wire::close::CloseReason;
use crate::wire::grant::Access;
use admission::Visit;
use auth::Authority;
pub use body::{Body, Pieces};
use door::Admitted;
use exchange::Asker;
use handshake::{Refusal, Shut, Verdict};
use journal::Opening;
use names::{Holder, Owner};
use security::Event;
use strict::Strict;
use tls::{Tls, Wire};

/// What the gate counts: connections that never reached a shard, by reason.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Handshakes that were answered with an error.
    pub handshake: AtomicU64,
    /// Connections that sent no whole request in time, or broke off.
    pub timeout: AtomicU64,
    /// TLS handshakes that failed for another reason than time.
    pub tls: AtomicU64,
    /// Connections that no shard could take.
    pub overload: AtomicU64,
    /// Accepts that failed.
    pub accept: AtomicU64,
    /// Connections that were not let in, or whose proxy did not say for whom it spoke.
    pub turned: AtomicU64,
}

impl Refusals {
    /// Each count and its name.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        vec![
            (CloseReason::HandshakeRefused.name(), count(&self.handshake)),
            (CloseReason::HandshakeTimeout.name(), count(&self.timeout)),
            ("tls_failed", count(&self.tls)),
            (CloseReason::Overload.name(), count(&self.overload)),
            ("accept_failed", count(&self.accept)),
            ("not_admitted", count(&self.turned)),
        ]
    }
}

/// Who comes in, and where to.
pub struct Gate<P> {
    /// The shards.
    pub shards: Vec<Mailbox>,
    /// Who is let in.
    pub door: Arc<Door>,
    /// What answers requests that are no handshakes.
    pub pages: P,
    /// The TLS of all listeners; none where they are in the clear.
    pub tls: Option<Arc<Tls>>,
    /// From accept to the answer of a handshake, that of TLS included.
    pub handshake: Duration,
    /// Who judges tokens; none: nobody is asked who they are.
    pub authority: Option<Arc<Authority>>,
    /// Is `/v1/echo` served?
    pub echo: bool,
    /// No handshakes any more.
    pub draining: AtomicBool,
    /// No handshakes for now: memory is short.
    pub refusing: Arc<AtomicBool>,
    /// The last session's number.
    pub sessions: AtomicU64,
    /// The names of sessions.
    pub names: Names,
    /// Connections that have not got their first answer.
    pub waiting: Arc<AtomicUsize>,
    /// What was refused.
    pub refusals: Arc<Refusals>,
}

/// A connection that has not got its first answer, as long as it lives.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Relaxed);
        Self(counter.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// One who has been let in.
#[derive(Clone)]
struct Guest {
    caller: Caller,
    /// Where it has come.
    local: SocketAddr,
    admitted: Arc<Admitted>,
    asker: Arc<Asker>,
}

/// What a request wants that is right.
enum Wish {
    Page(Access),
    Stream {
        upgrade: Upgrade,
        /// Counted by address, where a proxy speaks for it.
        visit: Option<Visit>,
        entry: Entry,
    },
}

/// A handshake that is right.
struct Upgrade {
    speech: Speech,
    subprotocol: Option<&'static str>,
    /// The session's name.
    name: Option<String>,
}

/// A stream on its way to a shard.
struct Newcomer {
    caller: Caller,
    speech: Speech,
    name: Option<String>,
    entry: Entry,
    /// What it holds of the limits.
    held: (Arc<Admitted>, Option<Visit>),
}

/// Answers requests that are no handshakes.
pub trait Pages: Send + Sync + 'static {
    /// The answer to a request of this caller.
    fn answer(
        &self,
        request: Request<()>,
        caller: &Caller,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Opens a listening socket.
///
/// # Errors
/// What the system says: the address is in use, not ours, not allowed.
pub fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Lets those that have been accepted get on, and then a thread that waits for this core: one that
/// ticks go through waits for a few handshakes then, not for all that there are.
async fn make_room() {
    tokio::task::yield_now().await;
    std::thread::yield_now();
}

impl<P: Pages> Gate<P> {
    /// How many connections have been accepted and not been answered yet.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Accepts from one listener until the future is dropped.
    ///
    /// # Errors
    /// Where the listener can't be polled.
    pub async fn accept(self: Arc<Self>, listener: StdListener) -> io::Result<Infallible> {
        let listener = TcpListener::from_std(listener)?;
        let places = Arc::new(Semaphore::new(GATE_CONNECTIONS));
        let (mut pause, mut accepted) = (ACCEPT_PAUSE.0, 0_usize);
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { continue };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE.0;
                    let (gate, waiting) = (self.clone(), Waiting::new(&self.waiting));
                    tokio::spawn(gate.receive(stream, peer, waiting, place));
                    accepted = accepted.wrapping_add(1);
                    if accepted.is_multiple_of(ACCEPTS_PER_TURN) {
                        make_room().await;
                    }
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    // Out of descriptors or memory: trying again at once would only burn time.
                    self.refusals.accept.fetch_add(1, Relaxed);
                    tracing::warn!(%error, ?pause, "accept failed");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE.1);
                }
            }
        }
    }

    /// Lets a connection in, or tells it why not. Who is told so takes no place of the others.
    async fn receive(
        self: Arc<Self>,
        mut stream: TcpStream,
        peer: SocketAddr,
        waiting: Waiting,
        place: OwnedSemaphorePermit,
    ) {
        let until = Instant::now() + self.handshake;
        let Some(caller) = self.door.meet(&mut stream, peer, self.handshake).await else {
            self.refusals.turned.fetch_add(1, Relaxed);
            return;
        };
        let reviews = self.door.reviews();
        match self.door.admit(&caller) {
            Ok((admitted, waits)) => {
                if let Ok(local) = stream.local_addr()
                    && let Some(stream) = self.secure(stream, &caller, until).await
                {
                    let (admitted, asker) = (Arc::new(admitted), Arc::default());
                    let guest = Guest { caller, local, admitted, asker };
                    self.serve(stream, guest, waiting, until, reviews).await;
                }
                drop((waits, place));
            }
            Err(turned) => {
                drop((waiting, place));
                self.refusals.turned.fetch_add(1, Relaxed);
                self.door.turned(&caller, turned);
                // Words in the clear are nothing that a client of TLS could read.
                if self.tls.is_none() {
                    self.door.send_away(stream, turned).await;
                }
            }
        }
    }

    /// The TLS handshake, where there is to be one; none where it failed.
    async fn secure(&self, stream: TcpStream, caller: &Caller, until: Instant) -> Option<Wire> {
        let Some(tls) = &self.tls else { return Some(Wire::Plain(stream)) };
        let accepted = tls.accept(stream, until.saturating_duration_since(Instant::now())).await;
        let failed = accepted.inspect_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => _ = self.refusals.timeout.fetch_add(1, Relaxed),
            _ => {
                self.refusals.tls.fetch_add(1, Relaxed);
                self.door.security.note(Event::Tls, caller, error);
            }
        });
        failed.ok()
    }

    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        mut guest: Guest,
        waiting: Option<Waiting>,
    ) -> Response<Body> {
        match self.judge(&request, &mut guest) {
            Ok(Wish::Page(access)) => {
                guest.asker.is(guest.caller, access.clone());
                request.extensions_mut().insert(access);
                let unread = !request.body().is_end_stream();
                let mut response = self.pages.answer(request.map(|_| ()), &guest.caller).await;
                if unread {
                    // What nobody reads must not be taken for the next request.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
            Ok(Wish::Stream { upgrade, visit, entry }) => {
                let Upgrade { speech, subprotocol, name } = upgrade;
                let Guest { caller, admitted, .. } = guest;
                let held = (admitted, visit);
                let newcomer = Newcomer { caller, speech, name, entry, held };
                self.upgrade(request, subprotocol, newcomer, waiting)
            }
            Err(refusal) => self.refuse(&refusal, &guest.caller),
        }
    }

    /// Who asks, and for what?
    fn judge(&self, request: &Request<Incoming>, guest: &mut Guest) -> Result<Wish, Refusal> {
        let (connected, headers) = (guest.caller, request.headers());
        guest.caller = self.door.asks(connected, headers)?;
        handshake::check_form(request)?;
        self.door.sites.check_host(headers, request.version(), guest.local)?;
        if !request.method().is_safe() {
            self.door.sites.check_origin(headers)?;
        }
        if self.shards.is_empty() {
            return self.access(request, &guest.caller).map(Wish::Page);
        }
        match handshake::judge(request, &self.door.sites, self.echo, self.shut()) {
            Verdict::Page => self.access(request, &guest.caller).map(Wish::Page),
            Verdict::Refused(refusal) => Err(refusal),
            Verdict::Accepted { speech, subprotocol, name } => {
                let visit = self.door.visit(&connected, &guest.caller)?;
                let entry = self.entry(request, &guest.caller)?;
                Ok(Wish::Stream { upgrade: Upgrade { speech, subprotocol, name }, visit, entry })
            }
        }
    }

    fn refuse(&self, refusal: &Refusal, caller: &Caller) -> Response<Body> {
        let Refusals { overload, handshake, .. } = &*self.refusals;
        if refusal.is_overload() { overload } else { handshake }.fetch_add(1, Relaxed);
        if let Some(event) = refusal.event() {
            self.door.security.note(event, caller, &refusal.cause());
        }
        refusal.response()
    }

    fn upgrade(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        subprotocol: Option<&'static str>,
        newcomer: Newcomer,
        waiting: Option<Waiting>,
    ) -> Response<Body> {
        let Ok((response, upgrade)) = fastwebsockets::upgrade::upgrade(&mut request) else {
            return Refusal::malformed("the handshake is incomplete").response();
        };
        tokio::spawn(async move {
            self.hand_over(upgrade, newcomer).await;
            drop(waiting);
        });
        handshake::accepted(response, subprotocol)
    }

    /// Why no handshake is accepted now, where none is.
    fn shut(&self) -> Option<Shut> {
        if self.draining.load(Relaxed) {
            return Some(Shut::Draining);
        }
        let overloaded = self.refusing.load(Relaxed) || self.shards.iter().all(Mailbox::is_stuck);
        overloaded.then_some(Shut::Overloaded)
    }

    /// Takes the socket back after the upgrade and gives it to the shard with the fewest.
    async fn hand_over(self: Arc<Self>, upgrade: UpgradeFut, newcomer: Newcomer) {
        let stream = match timeout(self.handshake, upgrade).await {
            Ok(Ok(websocket)) => websocket.into_inner().into_inner(),
            _ => {
                self.refusals.timeout.fetch_add(1, Relaxed);
                return;
            }
        };
        let caller = newcomer.caller;
        // The lists may have changed meanwhile; from here on, the shard is told when they do.
        if let Err(turned) = self.door.check_lists(&caller) {
            self.refusals.turned.fetch_add(1, Relaxed);
            return self.door.turned(&caller, turned);
        }
        if let Err(error) = self.send(stream, newcomer) {
            self.refusals.overload.fetch_add(1, Relaxed);
            tracing::warn!(peer = %caller, %error, "connection not handed over");
        }
    }

    fn send(&self, upgraded: Upgraded, newcomer: Newcomer) -> io::Result<()> {
        let parts = upgraded
            .downcast::<TokioIo<Strict<Wire>>>()
            .map_err(|_| io::Error::other("the upgraded stream is none that was accepted"))?;
        let (stream, tls) = parts.io.into_inner().into_inner().into_parts();
        let stream = stream.into_std()?;
        socket::prepare(&stream)?;
        let shards = self.shards.iter().enumerate().filter(|(_, shard)| !shard.is_stuck());
        let fewest = shards.min_by_key(|(_, shard)| shard.population());
        let (number, shard) =
            fewest.ok_or_else(|| io::Error::other("there is no shard that is not stuck"))?;
        let session = self.sessions.fetch_add(1, Relaxed) + 1;
        let Newcomer { caller, speech, name, entry, held } = newcomer;
        let owner = Owner::of(&entry, &caller);
        let taken = name
            .zip(owner)
            .map(|(name, owner)| self.names.take(owner, &name, Holder { session, shard: number }));
        let (holder, older) = taken.unzip();
        let (named, held) = (holder.is_some(), Box::new((held, holder)));
        let pass = Some(Box::new(Pass { via: caller.via, named, held }));
        let (leftover, peer) = (parts.read_buf, caller.address);
        let user = Opening::user_of(&entry);
        let opening =
            Opening { caller, user, speech, tls: tls.as_ref().map(|session| session.version()) };
        let arrival = Arrival { session, stream, tls, leftover, peer, speech, entry, pass };
        shard.attach(arrival).map_err(|_| io::Error::other("the shard's queue is full"))?;
        opening.say(session);
        if let Some(older) = older.flatten() {
            self.take_over(session, &older, &caller);
        }
        Ok(())
    }
}

/// Is an accept's error the doing of the one connection that was accepted?
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
