//! TLS of one connection: what it sends is encrypted when its socket takes it, what comes is
//! decrypted into the buffer that all connections read into.
//!
//! What has been encrypted can't be conflated any more. So nothing is while ciphertext waits for
//! the kernel, and then [`TLS_AHEAD`] bytes at most; the rest stays in the backlog, shared and in
//! plain.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};

use arrayvec::ArrayVec;
use mio::net::TcpStream;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use super::backlog::Backlog;
use super::write::Parts;
use crate::limits::{PARTS_PER_WRITE, TLS_AHEAD, TLS_BYTES_PER_TURN, TLS12_RECORDS};

/// Bytes of plaintext in a record at most (RFC 8446, 5.1).
const RECORD_BYTES: usize = 16 << 10;

/// The session of a connection whose handshake is done.
#[derive(Debug)]
pub struct Session {
    tls: ServerConnection,
    /// Records that may be encrypted before the keys are used up; no bound where they are renewed.
    records_left: u64,
    /// Its end has been said.
    parted: bool,
}

/// What a flush came to.
#[derive(Debug, Default)]
pub struct Flushed {
    /// Bytes that the kernel took.
    pub sent: usize,
    /// System calls.
    pub calls: u64,
    /// The kernel took all that was encrypted.
    pub whole: bool,
}

impl Session {
    /// The session of a handshake that is done.
    pub fn new(mut tls: ServerConnection) -> Self {
        tls.set_buffer_limit(Some(TLS_AHEAD));
        let records_left = match (tls.protocol_version(), tls.negotiated_cipher_suite()) {
            (Some(ProtocolVersion::TLSv1_2), Some(suite)) if wears_out(suite.suite()) => {
                TLS12_RECORDS
            }
            _ => u64::MAX,
        };
        Self { tls, records_left, parted: false }
    }

    /// The version of TLS.
    pub fn version(&self) -> &'static str {
        match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        }
    }

    /// Does ciphertext wait for the kernel?
    pub fn has_unsent(&self) -> bool {
        self.tls.wants_write()
    }

    /// Have the keys encrypted as much as they may? TLS 1.2 can't renew them.
    pub const fn is_used_up(&self) -> bool {
        self.records_left == 0
    }

    /// Has as many records left as that, where there is a bound: tests can't send 16 million.
    #[cfg(test)]
    pub(crate) fn wear_to(&mut self, records: u64) {
        if self.records_left < u64::MAX {
            self.records_left = records;
        }
    }

    /// Encrypts and writes what the socket takes of the backlog, bounded. What was encrypted counts
    /// as taken from the backlog.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self, mut socket: &TcpStream, backlog: &mut Backlog) -> io::Result<Flushed> {
        let (mut flushed, mut encrypted) = (Flushed::default(), 0);
        loop {
            if !self.tls.wants_write() && encrypted < TLS_BYTES_PER_TURN {
                encrypted += self.encrypt(backlog)?;
            }
            if !self.tls.wants_write() {
                flushed.whole = true;
                return Ok(flushed);
            }
            match self.tls.write_tls(&mut socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    flushed.sent += sent;
                    flushed.calls += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(flushed),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Encrypts the front of the backlog, as much as may be encrypted ahead; how much that was.
    fn encrypt(&mut self, backlog: &mut Backlog) -> io::Result<usize> {
        let mut encrypted = 0;
        while !backlog.is_empty() {
            let (offered, taken) = self.encrypt_parts(&backlog.parts())?;
            backlog.advance(taken);
            encrypted += taken;
            if taken < offered {
                break;
            }
        }
        Ok(encrypted)
    }

    /// Encrypts buffers together; how many bytes they had and how many of them it was.
    fn encrypt_parts(&mut self, parts: &Parts<'_>) -> io::Result<(usize, usize)> {
        let slices: ArrayVec<IoSlice<'_>, PARTS_PER_WRITE> =
            parts.iter().map(|part| IoSlice::new(part)).collect();
        let taken = self.tls.writer().write_vectored(&slices)?;
        let records = taken.div_ceil(RECORD_BYTES) as u64;
        self.records_left = self.records_left.saturating_sub(records);
        Ok((parts.iter().map(|part| part.len()).sum(), taken))
    }

    /// Reads once, and decrypts into `buffer` what that brought; 0 at the end of the session.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has come; `Interrupted` where what came is no data, and more may
    /// have come; `InvalidData` where it breaks TLS; else the connection is broken.
    pub fn read(&mut self, mut socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        match self.decrypted(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            decrypted => return decrypted,
        }
        self.tls.read_tls(&mut socket)?;
        self.tls.process_new_packets().map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        match self.decrypted(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(ErrorKind::Interrupted.into())
            }
            decrypted => decrypted,
        }
    }

    /// Takes what has been decrypted already. That the stream ends and its session does not is no
    /// matter: a WebSocket says by itself that it ends.
    fn decrypted(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.tls.reader().read(buffer) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    /// Says, behind all that was encrypted, that nothing more comes; false where it has.
    pub fn part(&mut self) -> bool {
        let news = !std::mem::replace(&mut self.parted, true);
        if news {
            self.tls.send_close_notify();
        }
        news
    }

    /// The connection is cut off: what fits the socket is said, an alert or the end.
    pub fn abandon(&mut self, mut socket: &TcpStream) {
        self.part();
        // It may be gone already; then there is nobody to tell.
        let _ = self.tls.write_tls(&mut socket);
    }
}

/// Is there a bound to what a key of this suite of TLS 1.2 may encrypt? Not of ChaCha20.
fn wears_out(suite: CipherSuite) -> bool {
    !matches!(
        suite,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}
