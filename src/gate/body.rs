//! What an answer carries: bytes that are there, or bytes that a thread still makes.
//!
//! A download is made by a thread that waits where its channel is full, and read here piece by
//! piece as the client takes it: the gate waits for neither.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces of a download, and how it ends: an error breaks the connection off, so that nobody takes
/// a part for the whole.
pub type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// The body of an answer.
pub struct Body(Kind);

enum Kind {
    Whole(Full<Bytes>),
    Pieces(Pieces, Arc<Taken>),
}

/// How often a client has taken a piece of a download.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pieces: AtomicU64,
    seen: AtomicU64,
}

impl Taken {
    /// Has it taken one since this was asked last?
    pub(super) fn has_grown(&self) -> bool {
        let now = self.pieces.load(Relaxed);
        self.seen.swap(now, Relaxed) != now
    }
}

impl Body {
    /// Of bytes that come piece by piece.
    pub fn of(pieces: Pieces) -> Self {
        Self(Kind::Pieces(pieces, Arc::default()))
    }

    /// Has a download counted here.
    pub(super) fn counted(mut self, taken: &Arc<Taken>) -> Self {
        if let Kind::Pieces(_, counter) = &mut self.0 {
            counter.clone_from(taken);
        }
        self
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Kind::Whole(Full::new(bytes.into())))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Whole(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never: Infallible| match never {}))),
            Kind::Pieces(pieces, taken) => pieces.poll_recv(context).map(|piece| {
                taken.pieces.fetch_add(1, Relaxed);
                piece.map(|piece| piece.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Pieces(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(body) => body.size_hint(),
            Kind::Pieces(..) => SizeHint::default(),
        }
    }
}
