//! A shard and its subscribers on loopback sockets, with nothing between: whoever holds it commits,
//! turns and reads. For the test of allocations and for the benchmarks.
#![allow(dead_code, reason = "no user uses all of it")]
#![allow(clippy::unwrap_used, reason = "what can't be set up has nothing to say")]

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use broadtape::clock::Now;
use broadtape::feed::{Batch, Feed, Metronome};
use broadtape::limits::{ClientLimits, RING_DEFAULT};
use broadtape::ring::{Progresses, Writer, ring};
use broadtape::shard::access::Entry;
use broadtape::shard::command::{Arrival, Mailbox, Speech};
use broadtape::shard::{Parts, Shard, run};
use broadtape::socket::write::Engine;
use broadtape::wire::encoding::Encoding;
use broadtape::wire::frame::{self, Opcode};
use broadtape::wire::instrument::Directory;
use bytes::Bytes;
use rustix::process::{Resource, getrlimit, setrlimit};

/// A ring, one shard, and the market's instruments.
pub(crate) struct Loopback<E> {
    shard: Shard<E>,
    writer: Writer,
    mailbox: Mailbox,
    listener: TcpListener,
    sessions: u64,
    /// The time of the next turn.
    pub(crate) now: Now,
}

impl<E: Engine> Loopback<E> {
    /// A shard that writes through `engine`, and knows as many instruments as the metronome plays.
    pub(crate) fn new(engine: E, symbols: u32) -> Self {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).unwrap();
        let (writer, ring) = ring(RING_DEFAULT).unwrap();
        let directory = Arc::new(Directory::default());
        for instrument in Metronome::new(1, symbols).instruments() {
            directory.register(instrument).unwrap();
        }
        let (poll, waker) = run::poller().unwrap();
        let mailbox = Mailbox::new(waker);
        let parts = Parts {
            id: 0,
            reader: ring.reader(),
            tape: None,
            shelf: None,
            door: None,
            departures: Arc::default(),
            ring,
            directory,
            mailbox: mailbox.clone(),
            poll,
            progress: Progresses::new(1),
            elastic: false,
            epoch: 1,
            limits: ClientLimits::default(),
            flush_interval: None,
            busy: false,
        };
        let now = Now::read();
        let shard = Shard::new(parts, engine, now);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { shard, writer, mailbox, listener, sessions: 0, now }
    }

    /// Its shard and its writer, for threads of their own.
    pub(crate) fn split(self) -> (Shard<E>, Writer) {
        (self.shard, self.writer)
    }

    /// A client that has sent a subscribe request with these params; its end, non-blocking.
    pub(crate) fn subscribe(&mut self, encoding: Encoding, params: &str) -> TcpStream {
        let (ours, theirs, peer) = self.connect();
        self.sessions += 1;
        let (session, speech) = (self.sessions, Speech::Stream(encoding));
        let text = format!(r#"{{"id":1,"method":"subscribe","params":{params}}}"#);
        // As bytes that came behind the handshake, so that it is read in the turn that attaches.
        let leftover = Bytes::from(masked(text.as_bytes()));
        let entry = Entry::Open;
        let (tls, pass) = (None, None);
        let arrival = Arrival { session, stream: ours, tls, leftover, peer, speech, entry, pass };
        assert!(self.mailbox.attach(arrival).is_ok());
        self.turn();
        theirs
    }

    fn connect(&self) -> (TcpStream, TcpStream, SocketAddr) {
        let theirs = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (ours, peer) = self.listener.accept().unwrap();
        broadtape::socket::prepare(&ours).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, theirs, peer)
    }

    /// Commits a batch of bare records.
    pub(crate) fn commit(&mut self, batch: &Batch) {
        self.writer.publish_batch(batch.bytes(), batch.iter(), self.now.unix);
    }

    /// A turn at `now`; how much was done.
    pub(crate) fn turn(&mut self) -> usize {
        self.shard.turn(self.now)
    }

    /// Time goes on.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.unix += time.as_nanos() as u64;
    }
}

/// A client's text message. The mask of zeros leaves it as it is.
pub(crate) fn masked(text: &[u8]) -> Vec<u8> {
    let mut frame = frame::head(Opcode::Text, text.len()).to_vec();
    frame[1] |= 0x80;
    frame.extend([0; 4]);
    frame.extend(text);
    frame
}

/// Reads all that has come; how many bytes that was.
pub(crate) fn drain(mut stream: &TcpStream, buffer: &mut [u8]) -> usize {
    let mut all = 0;
    loop {
        match stream.read(buffer) {
            Ok(0) => panic!("the shard ended the connection"),
            Ok(count) => all += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return all,
            Err(error) => panic!("{error}"),
        }
    }
}
