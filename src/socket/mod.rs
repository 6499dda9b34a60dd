//! socket: bytes to and from one subscriber, without waiting for it.
//!
//! [`mod@write`] and [`uring`] hand framed bytes to the kernel, [`backlog`] keeps what it did not
//! take, [`read`] checks what comes in; [`tls`] stands between where a connection is encrypted. A
//! socket knows nothing of records or subscriptions.

pub mod backlog;
mod event;
mod head;
mod partial;
pub mod read;
mod run;
pub mod shared;
pub mod tls;
pub mod uring;
pub mod write;

use std::io;
use std::net::TcpStream;

use socket2::SockRef;

use crate::limits::{NOTSENT_LOWAT, PONG_TIMEOUT};

/// Prepares an accepted connection for streaming: no Nagle (the shard batches), little unsent data
/// in the kernel (staleness belongs where it can be conflated), and dead peers noticed.
///
/// # Errors
/// What the kernel says; the connection is of no use then.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOTSENT_LOWAT)?;
    socket.set_tcp_user_timeout(Some(PONG_TIMEOUT))
}
