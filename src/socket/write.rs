//! Write engines: how framed bytes reach the kernel.
//!
//! An engine takes many writes in one call and borrows their buffers for that call only, so that
//! the caller reuses them at once. [`Readiness`] asks the kernel write by write;
//! [`Uring`](super::uring::Uring) submits the whole call at once.

use std::io::{self, IoSlice, Write as _};

use arrayvec::ArrayVec;
use mio::net::TcpStream;

use crate::limits::PARTS_PER_WRITE;

/// Buffers that follow one another on the wire.
pub type Parts<'a> = ArrayVec<&'a [u8], PARTS_PER_WRITE>;

/// One write to one socket, and what became of it. Small, because there is one for each subscriber
/// and turn: most have one buffer, and those of several keep the list elsewhere.
pub struct Write<'a> {
    /// Where to.
    pub socket: &'a TcpStream,
    /// What: [`PARTS_PER_WRITE`] buffers at most.
    pub parts: &'a [&'a [u8]],
    /// Bytes taken; `WouldBlock` where the kernel took none.
    pub taken: io::Result<usize>,
}

impl<'a> Write<'a> {
    /// A write that has not been tried.
    pub fn new(socket: &'a TcpStream, parts: &'a [&'a [u8]]) -> Self {
        Self { socket, parts, taken: Ok(0) }
    }
}

/// A way to hand bytes to the kernel. Never blocks.
pub trait Engine {
    /// Tries every write once, in order, and fills in `taken`. No buffer outlives the call.
    fn write(&mut self, writes: &mut [Write<'_>]);

    /// A socket has come that will be written to, until it is let go.
    fn hold(&mut self, _socket: &TcpStream) {}

    /// A socket is about to be closed: nothing may keep it open.
    fn let_go(&mut self, _socket: &TcpStream) {}
}

impl Engine for Box<dyn Engine> {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        (**self).write(writes);
    }

    fn hold(&mut self, socket: &TcpStream) {
        (**self).hold(socket);
    }

    fn let_go(&mut self, socket: &TcpStream) {
        (**self).let_go(socket);
    }
}

/// One `send` or `writev` for each write.
#[derive(Debug, Default)]
pub struct Readiness;

impl Engine for Readiness {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        for write in writes {
            write.taken = send(write.socket, write.parts);
        }
    }
}

pub(super) fn send(mut socket: &TcpStream, parts: &[&[u8]]) -> io::Result<usize> {
    loop {
        let taken = match parts {
            [one] => socket.write(one),
            parts => {
                let slices: ArrayVec<IoSlice<'_>, PARTS_PER_WRITE> =
                    parts.iter().map(|part| IoSlice::new(part)).collect();
                socket.write_vectored(&slices)
            }
        };
        match taken {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            taken => return taken,
        }
    }
}
