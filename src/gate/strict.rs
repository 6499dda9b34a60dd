//! Heads of requests, held to the letter: a line ends with CR LF.
//!
//! The HTTP parser takes a bare LF for the end of a line; a proxy in front may not, and then the
//! two see different requests. A bare LF becomes a byte that no head may hold, which the parser
//! refuses.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What stands in place of a line end that is none.
const POISON: u8 = 0;

/// A stream whose input is held to it until it is upgraded.
pub struct Strict<S> {
    inner: S,
    scan: Scan,
}

/// Where in its requests a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    /// Before the first byte of a head.
    Start { cr: bool },
    /// In a head.
    Head { cr: bool, empty: bool },
    /// What comes is no head: frames behind a handshake, which nobody reads as one.
    Past,
}

impl<S> Strict<S> {
    /// Nothing has come yet.
    pub fn new(inner: S) -> Self {
        Self { inner, scan: Scan::Start { cr: false } }
    }

    /// The stream, once it is upgraded.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl Scan {
    /// Goes through what has come.
    fn pass(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *self = match (*self, *byte) {
                (Self::Past, _) => return,
                (Self::Start { cr: true } | Self::Head { cr: true, empty: true }, b'\n') => {
                    Self::Start { cr: false }
                }
                (Self::Head { cr: true, .. }, b'\n') => Self::Head { cr: false, empty: true },
                (_, b'\n') => {
                    *byte = POISON;
                    Self::Past
                }
                (Self::Start { .. }, b'\r') => Self::Start { cr: true },
                (Self::Start { .. }, byte) if byte.is_ascii_graphic() => {
                    Self::Head { cr: false, empty: false }
                }
                (Self::Start { .. }, _) => Self::Past,
                (Self::Head { empty, .. }, b'\r') => Self::Head { cr: true, empty },
                (Self::Head { .. }, _) => Self::Head { cr: false, empty: false },
            };
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.scan.pass(&mut buffer.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pass(text: &[u8], pieces: usize) -> Vec<u8> {
        let (mut bytes, mut scan) = (text.to_vec(), Scan::Start { cr: false });
        bytes.chunks_mut(pieces.max(1)).for_each(|piece| scan.pass(piece));
        bytes
    }

    #[test]
    fn a_bare_line_feed_in_a_head_is_poisoned() {
        let right = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\r\nGET /a HTTP/1.1\r\nhost: x\r\n\r\n";
        assert_eq!(pass(right, 1), right);
        for wrong in [
            &b"GET / HTTP/1.1\nhost: x\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nhost: x\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\n\n",
            b"\nGET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\nGET / HTTP/1.1\r\n\r\n",
        ] {
            let passed = pass(wrong, 3);
            assert_eq!(passed.iter().filter(|byte| **byte == POISON).count(), 1, "{passed:?}");
        }
    }

    proptest! {
        #[test]
        fn frames_behind_a_handshake_are_left_alone(
            first in prop::sample::select(vec![0x01_u8, 0x81, 0x82, 0x88, 0x89, 0xc1]),
            frames in prop::collection::vec(any::<u8>(), 0..100),
            pieces in 1..20_usize,
        ) {
            let head = &b"GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n"[..];
            let bytes = [head, &[first], &frames].concat();
            prop_assert_eq!(pass(&bytes, pieces), bytes);
        }

        #[test]
        fn pieces_make_no_difference(
            bytes in prop::collection::vec(prop::sample::select(b"\r\n\0a:\x81 ".to_vec()), 0..40),
            pieces in 1..10_usize,
        ) {
            prop_assert_eq!(pass(&bytes, pieces), pass(&bytes, bytes.len()));
        }
    }
}
