//! The way to a server: its address, and our own addresses on this machine.
//!
//! A pair of addresses has as many connections to one port as there are ephemeral ports, some
//! 28,000. Towards a loopback address more of our own are at hand: all of 127.0.0.0/8.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::cli::client::target::Target;
use crate::cli::client::{ANSWER_TIMEOUT, ConnectError};

/// Our own addresses at most.
const SOURCES: u32 = 250;
/// The first of them, behind the one that the system gives by itself.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);

/// A server's address, and which of ours is in use.
#[derive(Debug)]
pub(crate) struct Route {
    to: SocketAddr,
    /// 0 is the one that the system gives.
    source: AtomicU32,
}

impl Route {
    /// Resolves a target; of several addresses, the first that can be connected to.
    ///
    /// # Errors
    /// [`ConnectError::Refused`].
    pub(crate) fn find(target: &Target) -> Result<Self, ConnectError> {
        let refused = |reason| ConnectError::Refused { address: target.authority(), reason };
        let addresses: Vec<_> = target.address().to_socket_addrs().map_err(refused)?.collect();
        let to = match addresses[..] {
            [] => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
            [only] => Ok(only),
            _ => reachable(&addresses),
        };
        Ok(Self { to: to.map_err(refused)?, source: AtomicU32::new(0) })
    }

    /// Begins to connect, from the next of our addresses where one has no port left;
    /// `receive_buffer` where the system's own would be too large.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn connect(&self, receive_buffer: Option<usize>) -> io::Result<TcpStream> {
        loop {
            let source = self.source.load(Relaxed);
            let error = match self.connect_from(source, receive_buffer) {
                Ok(socket) => return Ok(TcpStream::from_std(socket.into())),
                Err(error) => error,
            };
            let used_up =
                matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse);
            if !(used_up && self.is_loopback() && source < SOURCES) {
                return Err(error);
            }
            // Another thread may have gone on already.
            let _ = self.source.compare_exchange(source, source + 1, Relaxed, Relaxed);
        }
    }

    fn connect_from(&self, source: u32, receive_buffer: Option<usize>) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if source > 0 {
            let own = Ipv4Addr::from_bits(FIRST.to_bits() + source - 1);
            socket.bind(&SockAddr::from(SocketAddr::new(IpAddr::V4(own), 0)))?;
        }
        match socket.connect(&self.to.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
            _ => Ok(socket),
        }
    }

    fn is_loopback(&self) -> bool {
        self.to.is_ipv4() && self.to.ip().is_loopback()
    }
}

/// What a connect that does not block says.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

fn reachable(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match std::net::TcpStream::connect_timeout(address, ANSWER_TIMEOUT) {
            Ok(_) => return Ok(*address),
            Err(error) => last = error,
        }
    }
    Err(last)
}
