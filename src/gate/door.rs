//! The door: who has come, for whom a proxy speaks, and whether there is room.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::admission::{Admission, AdmissionRules, Counted, OfAll, OnTheWay, Turned, Visit};
use super::exchange::Reviews;
use super::forwarded;
use super::handshake::Refusal;
use super::networks::Networks;
use super::proxied::{self, Step};
use super::security::{Event, Security};
use super::site::Sites;
use crate::limits::{FAREWELLS, LINGER};
use crate::shard::command::Denied;

/// Who may knock, and what is believed of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorRules {
    /// How many.
    pub admission: AdmissionRules,
    /// The proxies that are believed to say for whom they ask.
    pub trusted: Networks,
    /// Do these begin each connection with a PROXY header?
    pub proxy_protocol: bool,
    /// For which hosts, from which pages.
    pub sites: Sites,
}

impl DoorRules {
    /// Everybody may, under these names and from these pages.
    pub fn of_sites(sites: Sites) -> Self {
        Self {
            admission: AdmissionRules {
                allow: Networks::default(),
                deny: Networks::default(),
                connections: None,
                per_address: None,
                pending_per_address: None,
                rate_per_address: None,
                rate: None,
            },
            trusted: Networks::default(),
            proxy_protocol: false,
            sites,
        }
    }
}

/// Who is at the other end, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client.
    pub address: SocketAddr,
    /// The proxy that speaks for it.
    pub via: Option<IpAddr>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Some(via) => write!(f, "{} via {via}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

/// What a connection holds of the limits as long as it lives.
pub(super) struct Admitted {
    _place: Counted<OfAll>,
    _visit: Visit,
}

/// Who is let in.
pub struct Door {
    admission: Admission,
    trusted: Networks,
    proxy_protocol: bool,
    /// For which hosts, from which pages.
    pub(super) sites: Sites,
    /// What is not to be.
    pub(super) security: Arc<Security>,
    /// Connections that are told why they don't come in.
    farewells: Arc<Semaphore>,
    /// Told when those who were let in have to be looked at again.
    reviews: watch::Sender<()>,
}

impl Door {
    /// Lets up to `connections` in where the rules don't say how many.
    pub fn new(rules: DoorRules, connections: usize, security: Arc<Security>) -> Self {
        let DoorRules { admission, trusted, proxy_protocol, sites } = rules;
        let admission = Admission::new(admission, connections);
        let farewells = Arc::new(Semaphore::new(FAREWELLS));
        let (reviews, _) = watch::channel(());
        Self { admission, trusted, proxy_protocol, sites, security, farewells, reviews }
    }

    /// Denies these from now on, besides those of the rules. What it returns says of an address
    /// that was let in before whether it would be now.
    pub fn deny(&self, networks: Arc<Networks>) -> Denied {
        self.admission.deny(networks.clone());
        self.review();
        let trusted = self.trusted.clone();
        Arc::new(move |address| networks.contains(address) && !trusted.contains(address))
    }

    /// Looks again at those whose requests are answered now: lists or keys have changed.
    pub fn review(&self) {
        self.reviews.send_replace(());
    }

    /// Hears of each such look from now on.
    pub(super) fn reviews(&self) -> Reviews {
        self.reviews.subscribe()
    }

    /// Do the lists let somebody in? A trusted proxy they do.
    pub(super) fn check_lists(&self, caller: &Caller) -> Result<(), Turned> {
        match self.trusted.contains(caller.address.ip()) {
            true => Ok(()),
            false => self.admission.lists(caller.address.ip()),
        }
    }

    /// Connections that are let in now.
    pub fn open(&self) -> usize {
        self.admission.open()
    }

    /// Who has connected: of a trusted proxy that says so, for whom.
    pub(super) async fn meet(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        patience: Duration,
    ) -> Option<Caller> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let direct = Caller { address: peer, via: None };
        if !self.proxy_protocol || !self.trusted.contains(peer.ip()) {
            return Some(direct);
        }
        let why = match timeout(patience, proxy_header(stream)).await {
            Ok(Ok(Some(address))) => {
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                return Some(Caller { address, via: Some(peer.ip()) });
            }
            Ok(Ok(None)) => return Some(direct),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the PROXY header did not come in time".to_owned(),
        };
        self.security.note(Event::ProxyHeader, &peer, &why);
        None
    }

    /// Lets a connection in. A trusted proxy has no limits of its own: those for whom it asks have.
    pub(super) fn admit(
        &self,
        caller: &Caller,
    ) -> Result<(Admitted, Option<Counted<OnTheWay>>), Turned> {
        let address = caller.address.ip();
        let trusted = self.trusted.contains(address);
        self.check_lists(caller)?;
        let visit = match trusted {
            true => Visit::unlimited(),
            false => self.admission.visit(address, Instant::now())?,
        };
        let waits = self.admission.wait(&visit)?;
        let place = self.admission.enter()?;
        Ok((Admitted { _place: place, _visit: visit }, waits))
    }

    /// Who asks in a request: of a trusted proxy that says so, for whom.
    pub(super) fn asks(&self, caller: Caller, headers: &HeaderMap) -> Result<Caller, Refusal> {
        if !self.trusted.contains(caller.address.ip()) {
            return Ok(caller);
        }
        let client = forwarded::client(headers, &self.trusted).map_err(|nameless| {
            Refusal::new(StatusCode::BAD_REQUEST, "forwarded_header", nameless.to_string())
        })?;
        let Some(address) = client else { return Ok(caller) };
        self.admission.lists(address.ip())?;
        Ok(Caller { address, via: Some(caller.address.ip()) })
    }

    /// What a stream holds of the limits besides its connection: where a proxy asks for somebody,
    /// those of that address.
    pub(super) fn visit(
        &self,
        connected: &Caller,
        caller: &Caller,
    ) -> Result<Option<Visit>, Turned> {
        let other = connected != caller;
        other.then(|| self.admission.visit(caller.address.ip(), Instant::now())).transpose()
    }

    /// Counts and logs somebody who does not come in.
    pub(super) fn turned(&self, caller: &Caller, turned: Turned) {
        self.security.note(turned.event(), caller, &turned.words());
    }

    /// Tells a connection why it does not come in, where that costs little: who is on the lists
    /// gets no answer, and neither do more at once than there are farewells.
    pub(super) async fn send_away(&self, mut stream: TcpStream, turned: Turned) {
        if turned == Turned::Denied {
            return;
        }
        let Ok(_farewell) = self.farewells.clone().try_acquire_owned() else { return };
        let answer = Refusal::from(turned).bytes();
        // It may be gone by now, which saves the rest.
        let told = async {
            stream.write_all(&answer).await?;
            stream.shutdown().await?;
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        let _ = timeout(LINGER, told).await;
    }
}

/// Reads a PROXY header, and not a byte more.
async fn proxy_header(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut bytes = Vec::new();
    loop {
        match proxied::read(&bytes) {
            Ok(Step::Whole(address)) => return Ok(address),
            Ok(Step::More(count)) => {
                let had = bytes.len();
                bytes.resize(had + count, 0);
                stream.read_exact(&mut bytes[had..]).await?;
            }
            Err(malformed) => return Err(io::Error::new(ErrorKind::InvalidData, malformed)),
        }
    }
}
