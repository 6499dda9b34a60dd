//! All subscribers: gathered before the first tick, listened to now and then afterwards.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::connection::Connection;
use crate::framer::Payload;
use crate::tally::Tally;

/// The listener's token; a subscriber's is its place.
const LISTENER: Token = Token(usize::MAX);
/// Longest from accept to the end of the handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often those who keep the others waiting are looked for.
const LOOK: Duration = Duration::from_millis(200);
const EVENTS: usize = 1024;

/// Subscribers in their places.
pub struct Crowd {
    poll: Poll,
    events: Events,
    /// Until all are there; whoever comes later is refused by the system.
    listener: Option<TcpListener>,
    payload: Payload,
    /// One for each subscriber that is awaited.
    places: Vec<Option<Connection>>,
    /// Those that are not taken.
    free: Vec<usize>,
    subscribed: usize,
}

impl Crowd {
    /// Listens on loopback for so many.
    ///
    /// # Errors
    /// Where the port is taken, or the system grants no poller.
    pub fn listen(
        port: u16,
        connections: usize,
        payload: Payload,
    ) -> io::Result<(Self, SocketAddr)> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let address = listener.local_addr()?;
        let places = (0..connections).map(|_| None).collect();
        let free = (0..connections).rev().collect();
        let (events, listener) = (Events::with_capacity(EVENTS), Some(listener));
        Ok((Self { poll, events, listener, payload, places, free, subscribed: 0 }, address))
    }

    /// Waits until all are there; false where `stop` was set first.
    ///
    /// # Errors
    /// Where polling fails.
    pub fn gather(&mut self, stop: &AtomicBool) -> io::Result<bool> {
        while self.subscribed < self.places.len() {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.turn(Some(LOOK), 0)?;
            self.remove_idle();
        }
        self.listener = None;
        Ok(true)
    }

    /// Answers what was asked meanwhile, without waiting, and counts who left.
    ///
    /// # Errors
    /// Where polling fails.
    pub fn attend(&mut self, seq: u64, tally: &mut Tally) -> io::Result<()> {
        let before = self.subscribed;
        self.turn(Some(Duration::ZERO), seq)?;
        tally.left += before.saturating_sub(self.subscribed) as u64;
        Ok(())
    }

    /// Is anybody left?
    pub fn is_empty(&self) -> bool {
        self.subscribed == 0
    }

    /// The places, taken or not.
    pub fn places(&mut self) -> &mut [Option<Connection>] {
        &mut self.places
    }

    /// Ends a subscriber's connection.
    pub fn remove(&mut self, place: usize, why: &str) {
        if let Some(gone) = self.places.get_mut(place).and_then(Option::take) {
            self.subscribed -= usize::from(gone.is_subscribed());
            self.free.push(place);
            // An io_uring holds on to the socket, so that closing it is not enough.
            let _ = gone.socket.shutdown(Shutdown::Both);
            // Later on they are counted: when all leave nobody wants a line for each.
            if self.listener.is_some() {
                eprintln!("connection {place}: {why}");
            }
        }
    }

    fn turn(&mut self, timeout: Option<Duration>, seq: u64) -> io::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let polled = match self.poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        };
        for token in events.iter().map(mio::event::Event::token) {
            match token {
                LISTENER => self.accept()?,
                Token(place) => self.hear(place, seq),
            }
        }
        self.events = events;
        polled
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(listener) = &self.listener {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    // The next one may be sound.
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                },
            };
            // Dropped, and so closed, where all places are taken.
            let Ok(mut connection) = Connection::new(socket) else { continue };
            let Some(place) = self.free.pop() else { continue };
            let registry = self.poll.registry();
            registry.register(&mut connection.socket, Token(place), Interest::READABLE)?;
            self.places[place] = Some(connection);
        }
        Ok(())
    }

    fn hear(&mut self, place: usize, seq: u64) {
        let Some(connection) = self.places[place].as_mut() else { return };
        let before = connection.is_subscribed();
        let heard = connection.listen(self.payload, seq);
        self.subscribed += usize::from(connection.is_subscribed() && !before);
        if let Err(why) = heard {
            self.remove(place, &why);
        }
    }

    fn remove_idle(&mut self) {
        let late = |c: &Connection| !c.is_welcome() && c.since.elapsed() > PATIENCE;
        for place in 0..self.places.len() {
            if self.places[place].as_ref().is_some_and(late) {
                self.remove(place, "no handshake in time");
            }
        }
    }
}
