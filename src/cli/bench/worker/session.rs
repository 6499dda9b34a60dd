//! The TLS of one connection: each read of its socket is decrypted to its end.
//!
//! What is decrypted is handed on at once, so that nothing but an incomplete record ever stays
//! here: a poller that watches the socket says all there is to say.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use rustls::{ClientConnection, Error};

use super::link::READ_BYTES;
use crate::cli::client::tls::Tls;

/// Bytes of a record at most, as it is encrypted in TLS 1.2 (RFC 5246, 6.2.3).
const RECORD_BYTES: usize = 5 + (16 << 10) + (2 << 10);
/// What a thread's buffer needs beside: room for what was encrypted, and for the record of which
/// one read brought the end.
pub(super) const ENCRYPTED_BYTES: usize = READ_BYTES + RECORD_BYTES;

/// A connection's session.
pub(super) struct Session(ClientConnection);

/// What came by one read.
pub(super) struct Came {
    /// Bytes of the socket.
    pub(super) bytes: usize,
    /// Bytes for the connection.
    pub(super) plain: usize,
    /// Nothing more comes.
    pub(super) ended: bool,
}

impl Session {
    /// A session that has not begun.
    ///
    /// # Errors
    /// Nobody is trusted.
    pub(super) fn new(tls: &Tls) -> Result<Self, Error> {
        tls.session().map(Self)
    }

    /// Is its handshake still under way?
    pub(super) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Is there something to be sent?
    #[inline]
    pub(super) fn has_words(&self) -> bool {
        self.0.wants_write()
    }

    /// Reads once, at most `room` bytes, into the end of `buffer`; what they hold is at its
    /// beginning then.
    ///
    /// # Errors
    /// The system's, and those of TLS, of which the server has been told.
    pub(super) fn read(
        &mut self,
        socket: &mut TcpStream,
        buffer: &mut [u8],
        room: usize,
    ) -> io::Result<Came> {
        let (plain, encrypted) = buffer.split_at_mut(buffer.len() - READ_BYTES);
        let bytes = socket.read(&mut encrypted[..room])?;
        let decrypted = self.decrypt(&encrypted[..bytes], plain);
        if decrypted.is_err() {
            // An alert; where it does not leave, the end of the connection has to do.
            let _ = self.0.write_tls(socket);
        }
        let (plain, closed) = decrypted?;
        Ok(Came { bytes, plain, ended: closed || bytes == 0 })
    }

    /// Decrypts all of it; gives how many bytes that were, and whether they are the last.
    fn decrypt(&mut self, mut bytes: &[u8], plain: &mut [u8]) -> io::Result<(usize, bool)> {
        let (mut filled, mut closed) = (0, false);
        while !bytes.is_empty() && !closed {
            self.0.read_tls(&mut bytes)?;
            let state = self.0.process_new_packets().map_err(io::Error::other)?;
            let end = filled + state.plaintext_bytes_to_read();
            closed = state.peer_has_closed();
            self.0.reader().read_exact(&mut plain[filled..end])?;
            filled = end;
        }
        Ok((filled, closed))
    }

    /// Encrypts and sends what the socket takes; it says when it takes more.
    ///
    /// # Errors
    /// It takes nothing at all.
    pub(super) fn write(&mut self, socket: &mut TcpStream, outbox: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let taken = self.0.writer().write(outbox)?;
            outbox.drain(..taken);
            if !self.0.wants_write() {
                return Ok(());
            }
            match self.0.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It is full, or broken: then reading says how, perhaps with an alert before.
                Err(_) => return Ok(()),
            }
        }
    }
}
