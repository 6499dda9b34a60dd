//! One connection: its socket, how far it has come, what it carries from one read to the next.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::session::{Came, Session};
use crate::cli::bench::collector::Collector;
use crate::cli::bench::dialogue::checks::Checks;
use crate::cli::bench::dialogue::raw48::MESSAGE_MAX;
use crate::cli::bench::dialogue::{Dialogue, Scope, Step};
use crate::cli::bench::task::{Role, Task};
use crate::cli::client::frame::{self, CLOSE};
use crate::cli::client::handshake::Handshake;
use crate::cli::client::stream::End;
use crate::cli::client::tls::{self, Tls};
use crate::cli::client::{ANSWER_TIMEOUT, CLOSE_TIMEOUT, ConnectError};
use crate::clock::{UnixNanos, unix_now};
use crate::limits::SERVER_MESSAGE_MAX;

/// Bytes of one read at most.
pub(super) const READ_BYTES: usize = 256 << 10;
/// Bytes of the buffer that all connections of a thread read into: in front of a read stands the
/// incomplete frame of the one before.
pub(crate) const BUFFER_BYTES: usize = READ_BYTES + MESSAGE_MAX + 64;
const _: () = assert!(MESSAGE_MAX >= SERVER_MESSAGE_MAX);

/// A close frame's code where nothing is wrong.
const NORMAL: u16 = 1000;

/// What ends a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    End(#[from] End),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::End(error.into())
    }
}

/// One connection.
pub(crate) struct Link {
    pub(crate) role: Role,
    pub(crate) step: Step,
    /// The step up to which the thread has done what follows.
    pub(crate) followed: Step,
    /// When it was to be opened, ns.
    pub(crate) intended: UnixNanos,
    /// When it is given up, where it waits for something.
    pub(crate) patience: Option<Instant>,
    /// It reads nothing by itself.
    pub(crate) paused: bool,
    /// Bytes that a slow reader may still read.
    pub(crate) allowance: f64,
    socket: TcpStream,
    tls: Option<Box<Session>>,
    handshake: Option<Handshake>,
    dialogue: Box<dyn Dialogue>,
    /// What of the last read was incomplete.
    carry: Vec<u8>,
    outbox: Vec<u8>,
}

impl Link {
    /// A connection that was begun.
    pub(crate) fn new(
        socket: TcpStream,
        role: Role,
        intended: UnixNanos,
        dialogue: Box<dyn Dialogue>,
    ) -> Self {
        Self {
            role,
            step: Step::Connecting,
            followed: Step::Connecting,
            intended,
            patience: Some(Instant::now() + ANSWER_TIMEOUT),
            paused: false,
            allowance: 0.0,
            socket,
            tls: None,
            handshake: None,
            dialogue,
            carry: Vec::new(),
            outbox: Vec::new(),
        }
    }

    /// Has a poller watch it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Has the poller watch it no more.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.socket)
    }

    /// The socket takes bytes: it is connected, or has room again.
    ///
    /// # Errors
    /// [`Fault`].
    pub(crate) fn writable(&mut self, task: &Task) -> Result<(), Fault> {
        if self.step == Step::Connecting {
            self.connected(task)?;
        }
        self.write()
    }

    fn connected(&mut self, task: &Task) -> Result<(), Fault> {
        let refused = |reason| ConnectError::Refused { address: task.target.authority(), reason };
        if let Some(error) = self.socket.take_error().map_err(refused)? {
            return Err(refused(error).into());
        }
        if self.socket.peer_addr().is_err() {
            return Ok(());
        }
        match task.target.tls() {
            Some(tls) => self.secure(tls, task),
            None => self.upgrade(task),
        }
    }

    fn secure(&mut self, tls: &Tls, task: &Task) -> Result<(), Fault> {
        let session = Session::new(tls).map_err(|error| no_tls(task, tls::explain(&error)))?;
        self.tls = Some(Box::new(session));
        self.step = Step::Securing;
        Ok(())
    }

    /// Looks whether the handshake of TLS is done.
    fn secured(&mut self, task: &Task, ended: bool) -> Result<(), Fault> {
        match &self.tls {
            Some(tls) if tls.is_handshaking() && ended => {
                Err(no_tls(task, tls::ENDED.to_owned()).into())
            }
            Some(tls) if tls.is_handshaking() => Ok(()),
            _ => self.upgrade(task),
        }
    }

    fn upgrade(&mut self, task: &Task) -> Result<(), Fault> {
        let (handshake, request) = Handshake::new(&task.target, task.subprotocol())?;
        self.handshake = Some(handshake);
        self.outbox = request;
        self.step = Step::Upgrading;
        Ok(())
    }

    /// Sends what the socket takes; it says when it takes more.
    ///
    /// # Errors
    /// [`End`].
    pub(crate) fn write(&mut self) -> Result<(), Fault> {
        if self.step == Step::Connecting {
            return Ok(());
        }
        if let Some(tls) = &mut self.tls {
            return Ok(tls.write(&mut self.socket, &mut self.outbox)?);
        }
        while !self.outbox.is_empty() {
            match self.socket.write(&self.outbox) {
                Ok(0) => return Err(End::Io(io::ErrorKind::WriteZero).into()),
                Ok(written) => drop(self.outbox.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads once, at most `room` bytes, behind what is `held` of the reads before.
    #[inline]
    fn receive(&mut self, buffer: &mut [u8], held: usize, room: usize) -> io::Result<Came> {
        match &mut self.tls {
            None => {
                let bytes = self.socket.read(&mut buffer[held..held + room])?;
                Ok(Came { bytes, plain: bytes, ended: bytes == 0 })
            }
            Some(tls) => tls.read(&mut self.socket, &mut buffer[held..], room),
        }
    }

    /// Reads once, at most `room` bytes, and takes what that brings; none where nothing was there.
    /// Of what is encrypted, the clock is read when it is decrypted.
    ///
    /// # Errors
    /// [`Fault`].
    #[inline]
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        room: usize,
        task: &Task,
        collector: &mut Collector,
    ) -> Result<Option<Got>, Fault> {
        let held = self.carry.len();
        buffer[..held].copy_from_slice(&self.carry);
        let room = room.min(READ_BYTES);
        let came = match self.receive(buffer, held, room) {
            Ok(came) => came,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // As if less had been there: there may be more.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Some(Got { bytes: 0, more: true }));
            }
            Err(error) => return Err(error.into()),
        };
        let got = Got { bytes: came.bytes, more: came.bytes == room };
        if self.step == Step::Securing {
            self.secured(task, came.ended)?;
        }
        if came.plain == 0 && !came.ended {
            return Ok(Some(got));
        }
        let now = unix_now();
        let measured = self.counts() && collector.read(now, came.plain);
        let bytes = &buffer[..held + came.plain];
        let mut scope =
            Scope { step: &mut self.step, outbox: &mut self.outbox, collector, now, measured };
        let mut used = 0;
        if let Some(handshake) = &self.handshake {
            used = handshake.answer(&task.target, bytes, came.ended)?.unwrap_or(0);
            if used > 0 {
                self.handshake = None;
                self.dialogue.opened(&mut scope);
            }
        }
        if self.handshake.is_none() && came.plain > 0 {
            used += self.dialogue.take(&bytes[used..], &mut scope)?;
        }
        if came.ended {
            return Err(End::Eof.into());
        }
        self.carry.clear();
        self.carry.extend_from_slice(&bytes[used..]);
        Ok(Some(got))
    }

    /// Is what it receives part of the figures?
    fn counts(&self) -> bool {
        self.role == Role::Measured && self.step >= Step::Subscribed
    }

    /// Has it say something, and waits for the answer.
    ///
    /// # Errors
    /// [`Fault`].
    pub(crate) fn say(
        &mut self,
        collector: &mut Collector,
        what: fn(&mut dyn Dialogue, &mut Scope<'_>),
    ) -> Result<(), Fault> {
        let Self { step, outbox, .. } = self;
        let mut scope = Scope { step, outbox, collector, now: 0, measured: false };
        what(&mut *self.dialogue, &mut scope);
        self.patience = Some(Instant::now() + ANSWER_TIMEOUT);
        self.write()
    }

    /// Says goodbye, and waits a moment for the other side to do the same.
    ///
    /// # Errors
    /// [`Fault`].
    pub(crate) fn leave(&mut self) -> Result<(), Fault> {
        frame::push(&mut self.outbox, CLOSE, &NORMAL.to_be_bytes());
        self.step = Step::Leaving;
        self.patience = Some(Instant::now() + CLOSE_TIMEOUT);
        self.write()
    }

    /// Is there something to be sent?
    #[inline]
    pub(crate) fn has_words(&self) -> bool {
        !self.outbox.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.has_words())
    }

    /// Adds what a slow reader of `rate` bytes a second may read after `time`.
    pub(crate) fn allow(&mut self, rate: f64, time: Duration) -> usize {
        self.allowance = (self.allowance + rate * time.as_secs_f64()).min(rate.max(1.0));
        self.allowance as usize
    }

    /// Symbols that were refused.
    pub(crate) fn rejected(&mut self) -> Vec<String> {
        self.dialogue.rejected()
    }

    /// What it found.
    pub(crate) fn checks(&self) -> Checks {
        self.dialogue.checks()
    }

    /// How it ended, in the server's words where there were some; none where that is as it should
    /// be: it had said goodbye, and the server has nothing to complain of.
    pub(crate) fn told(&self, fault: &Fault) -> Option<String> {
        let complaint = matches!(fault, Fault::End(End::Closed { code, .. }) if *code > NORMAL
            && *code != 1005);
        if self.step == Step::Leaving && !complaint {
            return None;
        }
        Some(match (self.dialogue.words(), fault) {
            (Some(words), _) => format!("{fault}; the server said: {words}"),
            _ => fault.to_string(),
        })
    }
}

/// No session with the server came about.
pub(super) fn no_tls(task: &Task, reason: String) -> ConnectError {
    ConnectError::Tls { address: task.target.authority(), reason }
}

/// What one read brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Got {
    pub(crate) bytes: usize,
    /// There may be more.
    pub(crate) more: bool,
}
