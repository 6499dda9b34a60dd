//! What a user would write instead of broadtape, from the documentation of each crate, tuned where
//! the crate lets one: every peer gets the same work and one core.
//!
//! A peer waits for its subscribers, then sends each of them every message of `floor::raw48`, on
//! the metronome's ticks. The messages of a tick go to the subscribers' tasks as one burst, so that
//! a task wakes once a tick and flushes once.

pub mod options;
pub mod publisher;

use std::io;
use std::net::Ipv4Addr;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

/// Connections that wait to be accepted at most.
const BACKLOG: u32 = 4096;

/// A runtime on the calling thread: a peer has one core.
///
/// # Errors
/// Where the system grants no event loop.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

/// Listens on loopback, and says where.
///
/// # Errors
/// Where the port is taken.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(BACKLOG)?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(listener)
}
