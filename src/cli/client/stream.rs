//! An upgraded connection: frames in, parsed in place from a buffer that many share; frames out.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::batch::Malformed;
use super::frame::{self, Frame, FrameError};
use super::http::{Duplex, Upgraded};
use super::tls;
use super::{ANSWER_TIMEOUT, CLOSE_TIMEOUT};

/// Bytes of a [`ReadBuffer`]: room for an incomplete frame and for plenty behind it.
const READ_BYTES: usize = 512 << 10;

/// Into this all connections of a thread read, one after the other.
pub(crate) struct ReadBuffer(RefCell<Vec<u8>>);

impl Default for ReadBuffer {
    fn default() -> Self {
        Self(RefCell::new(vec![0; READ_BYTES]))
    }
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("closed by the server with {code}{}", Quoted(.reason))]
    Closed { code: u16, reason: String },
    #[error("lost: the server ended it without a close frame")]
    Eof,
    #[error("lost: {0}")]
    Io(io::ErrorKind),
    #[error("TLS broken: {}", tls::explain(.0))]
    Tls(rustls::Error),
    #[error("protocol broken: {0}")]
    Frame(#[from] FrameError),
    #[error("protocol broken: {0}")]
    Batch(#[from] Malformed),
    #[error("protocol broken: {0}")]
    Message(String),
    #[error("{0}")]
    Refused(String),
    #[error("no answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Silent,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match (tls::of(&error), error.kind()) {
            (Some(error), _) => Self::Tls(error.clone()),
            // A WebSocket says by itself that it ends: it is no matter that TLS did not.
            (None, io::ErrorKind::UnexpectedEof) => Self::Eof,
            (None, kind) => Self::Io(kind),
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

/// Who takes what a connection receives.
pub(crate) trait Consumer {
    /// `bytes` came in one socket read; their frames follow.
    fn arrived(&mut self, bytes: usize);

    /// A text or binary frame.
    ///
    /// # Errors
    /// [`End`] where it breaks the protocol: the connection is given up.
    fn frame(&mut self, frame: Frame<'_>) -> Result<(), End>;
}

/// A WebSocket connection of a client.
pub(crate) struct Stream {
    socket: Box<dyn Duplex>,
    /// The incomplete frame at the end of the last read.
    carry: Vec<u8>,
    /// `carry` holds what came with the handshake and was never looked at.
    unread: bool,
    outbox: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let Upgraded { socket, leftover: carry } = upgraded;
        Self { socket, unread: !carry.is_empty(), carry, outbox: Vec::new() }
    }

    /// Queues a text message; it leaves while the stream is driven.
    pub(crate) fn send_text(&mut self, text: &str) {
        self.push(frame::TEXT, text.as_bytes());
    }

    /// Reads and writes until `done` holds, which is looked at after each read.
    ///
    /// Cancel-safe: what was read has been consumed, whenever it is dropped.
    ///
    /// # Errors
    /// The connection's [`End`].
    pub(crate) async fn drive<C: Consumer>(
        &mut self,
        buffer: &ReadBuffer,
        consumer: &mut C,
        done: impl Fn(&C) -> bool,
    ) -> Result<(), End> {
        poll_fn(|cx| {
            loop {
                if done(consumer) {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_turn(cx, &mut buffer.0.borrow_mut(), consumer))?;
            }
        })
        .await
    }

    /// As [`Stream::drive`], for at most as long as an answer may take.
    ///
    /// # Errors
    /// The connection's [`End`], [`End::Silent`] where time ran out.
    pub(crate) async fn drive_in_time<C: Consumer>(
        &mut self,
        buffer: &ReadBuffer,
        consumer: &mut C,
        done: impl Fn(&C) -> bool,
    ) -> Result<(), End> {
        let driven = self.drive(buffer, consumer, done);
        timeout(ANSWER_TIMEOUT, driven).await.map_err(|_| End::Silent)?
    }

    /// Says goodbye, and waits a moment for the other side to do the same.
    pub(crate) async fn close<C: Consumer>(&mut self, buffer: &ReadBuffer, consumer: &mut C) {
        const NORMAL: u16 = 1000;
        self.push(frame::CLOSE, &NORMAL.to_be_bytes());
        let echoed = self.drive(buffer, consumer, |_| false);
        // Whichever way it ends now, the connection is over.
        let _ = timeout(CLOSE_TIMEOUT, echoed).await;
    }

    fn push(&mut self, opcode: u8, payload: &[u8]) {
        frame::push(&mut self.outbox, opcode, payload);
    }

    fn poll_turn<C: Consumer>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        consumer: &mut C,
    ) -> Poll<Result<(), End>> {
        self.poll_write(cx)?;
        let held = self.carry.len();
        buffer[..held].copy_from_slice(&self.carry);
        let mut filled = held;
        if !std::mem::take(&mut self.unread) {
            let mut into = ReadBuf::new(&mut buffer[held..]);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut into))?;
            filled += into.filled().len();
            if filled == held {
                return Poll::Ready(Err(End::Eof));
            }
        }
        consumer.arrived(filled - held);
        let used = self.consume(&buffer[..filled], consumer)?;
        self.carry.clear();
        self.carry.extend_from_slice(&buffer[used..filled]);
        if !self.outbox.is_empty() {
            self.poll_write(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the whole frames of `bytes`, and returns how many of them those were.
    fn consume<C: Consumer>(&mut self, bytes: &[u8], consumer: &mut C) -> Result<usize, End> {
        let mut at = 0;
        while let Some((frame, len)) = frame::next(&bytes[at..])? {
            at += len;
            match frame.opcode {
                frame::PING => self.push(frame::PONG, frame.payload),
                frame::PONG => {}
                frame::CLOSE => return Err(closed(frame.payload)),
                _ => consumer.frame(frame)?,
            }
        }
        Ok(at)
    }

    /// Writes as much as the socket takes; the waker is registered for the rest.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        while !self.outbox.is_empty() {
            match Pin::new(&mut self.socket).poll_write(cx, &self.outbox) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(End::Io(io::ErrorKind::WriteZero)),
                Poll::Ready(Ok(written)) => drop(self.outbox.drain(..written)),
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
        }
        // What is encrypted waits for the socket by itself.
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// What a close frame says.
pub(crate) fn closed(payload: &[u8]) -> End {
    const NO_STATUS: u16 = 1005;
    match payload {
        [a, b, reason @ ..] => End::Closed {
            code: u16::from_be_bytes([*a, *b]),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
        _ => End::Closed { code: NO_STATUS, reason: String::new() },
    }
}
