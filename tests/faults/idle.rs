//! What a connection that is idle costs in memory, in plain and encrypted.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::crowd::scale;
use crate::program::{Program, secure};
use crate::server::Server;

/// A connection that has its welcome, and is not looked at any more; its client's session is gone.
fn open(server: &Server, config: Option<&Arc<ClientConfig>>) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let mut tls = config.map(|config| secure::session(config.clone()));
    let mut stream = secure::over(&mut socket, tls.as_mut());
    let host = server.address();
    write!(
        stream,
        "GET /v1/stream HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let (mut came, mut buffer) = (Vec::<u8>::new(), [0; 4096]);
    while !came.windows(9).any(|bytes| bytes == b"\"welcome\"") {
        let count = stream.read(&mut buffer).unwrap();
        came.extend(&buffer[..count]);
    }
    drop(stream);
    socket
}

/// The server's memory, at length once the allocator has given back what handshakes took.
fn settled(server: &Server) -> u64 {
    if scale() > 1 {
        std::thread::sleep(Duration::from_secs(15));
    }
    server.memory()
}

/// Bytes of a connection: how much the server grows from a few to many.
fn cost(config: Option<&Arc<ClientConfig>>, few: usize, many: usize) -> u64 {
    let mut args = vec!["serve", "--log", "error", "--scenario", "metronome"];
    args.extend(["--symbols", "3", "--rate", "1", "--heartbeat", "5s"]);
    if config.is_some() {
        args.push("--tls-self-signed");
    }
    let server = Server::of(Program::start(&args));
    let mut all: Vec<TcpStream> = (0..few).map(|_| open(&server, config)).collect();
    let before = settled(&server);
    all.extend((few..many).map(|_| open(&server, config)));
    settled(&server).saturating_sub(before) / (many - few) as u64
}

#[test]
fn an_idle_connection_takes_little() {
    let (few, many) = (100 * scale(), 400 * scale());
    let [old, new] = [&TLS12, &TLS13].map(|version| secure::trusting_by(&[version]));
    let [plain, old, new] = [None, Some(&old), Some(&new)].map(|tls| cost(tls, few, many));
    println!(
        "idle, from {few} to {many} connections: {plain} bytes each in plain, {old} by TLS 1.2, \
         {new} by TLS 1.3"
    );
    // A few hundred grow by little more than the memory that their handshakes took for a while.
    let most = if scale() > 1 { 16 << 10 } else { 64 << 10 };
    assert!([plain, old, new].iter().all(|bytes| *bytes < most), "{most} at most");
}
