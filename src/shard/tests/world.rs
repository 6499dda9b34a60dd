//! A shard whose kernel follows a script: a socket takes what the test lets it, and keeps it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Now;
use crate::limits::{ClientLimits, QUEUE_MIN};
use crate::ring::{Progresses, Writer, ring};
use crate::shard::access::Entry;
use crate::shard::command::{Arrival, Command, Mailbox, Speech};
use crate::shard::{Parts, Shard, run};
use crate::socket::tls::Session;
use crate::socket::write::{Engine, Write};
use crate::wire::encoding::Encoding;
use crate::wire::instrument::{Directory, Instrument};
use crate::wire::record::{
    BboMsg, Mbp1Msg, PUBLISHER_SIM, Schema, TradeMsg, bytes_of, header, mapping, rtype,
};

/// Instruments of the tests' market, with ids from 1 on.
pub(super) const SYMBOLS: [&str; 4] = ["AA", "AB", "BA", "BB"];

/// The kernel's side of one socket.
#[derive(Default)]
pub(super) struct Outbox {
    /// All that it took.
    pub(super) taken: Vec<u8>,
    /// How much the next writes may bring, one after the other.
    pub(super) gulps: VecDeque<usize>,
    /// Does it take everything when there are no gulps left, or nothing?
    pub(super) open: bool,
    /// Has the peer reset the connection?
    pub(super) broken: bool,
}

impl Outbox {
    fn take(&mut self, parts: &[&[u8]]) -> io::Result<usize> {
        if self.broken {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let room = self.gulps.pop_front().unwrap_or(if self.open { usize::MAX } else { 0 });
        let offered = parts.concat();
        let taken = room.min(offered.len());
        self.taken.extend_from_slice(&offered[..taken]);
        if taken > 0 { Ok(taken) } else { Err(ErrorKind::WouldBlock.into()) }
    }
}

/// The scripted engine.
#[derive(Clone, Default)]
pub(super) struct Script(Rc<RefCell<HashMap<RawFd, Rc<RefCell<Outbox>>>>>);

impl Engine for Script {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        for write in writes {
            let outbox = self.0.borrow()[&write.socket.as_raw_fd()].clone();
            write.taken = outbox.borrow_mut().take(write.parts);
        }
    }
}

/// A client as the shard sees it, and what it was sent.
pub(super) struct Peer {
    pub(super) session: u64,
    pub(super) outbox: Rc<RefCell<Outbox>>,
    /// Its end of the connection, which has to stay open.
    _stream: TcpStream,
}

/// A ring, a shard and its clients.
pub(super) struct World {
    pub(super) shard: Shard<Script>,
    pub(super) now: Now,
    writer: Writer,
    script: Script,
    mailbox: Mailbox,
    listener: TcpListener,
    directory: Arc<Directory>,
    sessions: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let (writer, ring) = ring(8 << 20).unwrap();
        let directory = Arc::new(Directory::default());
        for (n, symbol) in SYMBOLS.iter().enumerate() {
            let (id, symbol) = (n as u32 + 1, (*symbol).to_owned());
            let publisher = PUBLISHER_SIM;
            let new = Instrument { id, publisher, symbol, tick: None, lot: None, schemas: 0 };
            directory.register(new).unwrap();
        }
        let (poll, waker) = run::poller().unwrap();
        let mailbox = Mailbox::new(waker);
        let hour = Duration::from_secs(3600);
        let limits = ClientLimits {
            queue: QUEUE_MIN,
            ping: hour,
            pong_timeout: hour,
            burst: u32::MAX,
            ..ClientLimits::default()
        };
        let parts = Parts {
            id: 0,
            reader: ring.reader(),
            tape: None,
            shelf: None,
            door: None,
            departures: Arc::default(),
            ring,
            directory: directory.clone(),
            mailbox: mailbox.clone(),
            poll,
            progress: Progresses::new(1),
            elastic: false,
            epoch: 7,
            limits,
            flush_interval: None,
            busy: false,
        };
        let (script, now) = (Script::default(), Now::read());
        let shard = Shard::new(parts, script.clone(), now);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { shard, now, writer, script, mailbox, listener, directory, sessions: 0 }
    }

    /// A new client, welcomed.
    pub(super) fn attach(&mut self, encoding: Encoding) -> Peer {
        self.attach_as(encoding, Entry::Open)
    }

    /// A new client that came in like this, welcomed.
    pub(super) fn attach_as(&mut self, encoding: Encoding, entry: Entry) -> Peer {
        self.attach_over(encoding, entry, |_, _| None)
    }

    /// A new client, of whose two ends (ours, its own) a session of TLS may be made.
    pub(super) fn attach_over(
        &mut self,
        encoding: Encoding,
        entry: Entry,
        secure: impl FnOnce(&TcpStream, &TcpStream) -> Option<Box<Session>>,
    ) -> Peer {
        let theirs = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (ours, peer) = self.listener.accept().unwrap();
        let tls = secure(&ours, &theirs);
        ours.set_nonblocking(true).unwrap();
        let outbox = Rc::new(RefCell::new(Outbox { open: true, ..Outbox::default() }));
        self.script.0.borrow_mut().insert(ours.as_raw_fd(), outbox.clone());
        self.sessions += 1;
        let (session, speech) = (self.sessions, Speech::Stream(encoding));
        let leftover = Bytes::new();
        let pass = None;
        let arrival = Arrival { session, stream: ours, tls, leftover, peer, speech, entry, pass };
        assert!(self.mailbox.attach(arrival).is_ok());
        self.turn();
        Peer { session, outbox, _stream: theirs }
    }

    /// Gives the shard a command.
    pub(super) fn tell(&self, command: Command) {
        assert!(self.mailbox.send(command).is_ok());
    }

    /// A turn at the present time.
    pub(super) fn turn(&mut self) {
        self.shard.turn(self.now);
    }

    /// Turns while time passes.
    pub(super) fn pass(&mut self, time: Duration) {
        let step = Duration::from_millis(50);
        for _ in 0..time.as_millis() / step.as_millis() {
            self.now.mono += step;
            self.now.unix += step.as_nanos() as u64;
            self.turn();
        }
    }

    /// What follows a panic between two turns.
    pub(super) fn restart(mut self) -> Self {
        let mut remains = self.shard.fall();
        let orphans = std::mem::take(&mut remains.orphans);
        self.shard = Shard::again(remains, self.script.clone());
        self.shard.take_in(orphans);
        self.shard.recall();
        self
    }

    /// The number of a client's connection, where it still has one.
    pub(super) fn token(&self, peer: &Peer) -> Option<u32> {
        let mut all = self.shard.connections.iter();
        all.find(|(_, c)| c.session == peer.session).map(|(token, _)| token as u32)
    }

    /// The client asks. Is there still somebody who hears it?
    pub(super) fn request(&mut self, peer: &Peer, text: &str) -> bool {
        let open = |token: &u32| !self.shard.connections[*token as usize].is_closing();
        let Some(token) = self.token(peer).filter(open) else { return false };
        self.shard.take_request(token, text, self.now);
        true
    }

    /// The kernel says that the client's socket takes bytes again.
    pub(super) fn writable(&mut self, peer: &Peer) {
        if let Some(token) = self.token(peer) {
            self.shard.connections[token as usize].writable = true;
            self.shard.heat(token);
        }
    }

    /// Publishes one record each, numbered by position in its `sequence`, in one commit.
    pub(super) fn commit(&mut self, records: &[(Schema, usize)]) {
        let first = self.writer.newest() + 1;
        let records: Vec<Vec<u8>> =
            records.iter().zip(first..).map(|((s, n), seq)| record(*s, *n, seq as u32)).collect();
        self.publish(&records);
    }

    /// A new instrument: its id is the next one, and its mapping is published.
    pub(super) fn list(&mut self, symbol: &str) {
        let (id, publisher) = (self.directory.len() as u32 + 1, PUBLISHER_SIM);
        let symbol = symbol.to_owned();
        let new = Instrument { id, publisher, symbol, tick: None, lot: None, schemas: 0 };
        let named = mapping(publisher, id, &new.symbol, 1);
        self.directory.register(new).unwrap();
        self.writer.publish(bytes_of(&named), self.now.unix);
    }

    /// Publishes bare records of at most 120 bytes each in one commit.
    pub(super) fn publish(&mut self, records: &[Vec<u8>]) {
        let slices = records.iter().map(Vec::as_slice);
        self.writer.publish_batch(records.len() * 128, slices, self.now.unix);
    }
}

fn record(schema: Schema, instrument: usize, sequence: u32) -> Vec<u8> {
    let (id, publisher) = (instrument as u32 + 1, PUBLISHER_SIM);
    match schema {
        Schema::Trades => {
            let hd = header::<TradeMsg>(rtype::MBP_0, publisher, id, 1);
            bytes_of(&TradeMsg { hd, sequence, ..TradeMsg::default() }).to_vec()
        }
        Schema::Mbp1 | Schema::Tbbo => {
            let hd = header::<Mbp1Msg>(rtype::MBP_1, publisher, id, 1);
            let action = if schema == Schema::Tbbo { b'T' } else { b'M' } as std::ffi::c_char;
            bytes_of(&Mbp1Msg { hd, action, sequence, ..Mbp1Msg::default() }).to_vec()
        }
        _ => {
            let hd = header::<BboMsg>(rtype::BBO_1S, publisher, id, 1);
            let bbo = BboMsg { hd, sequence, ..BboMsg::default_for_schema(Schema::Bbo1S) };
            bytes_of(&bbo).to_vec()
        }
    }
}
