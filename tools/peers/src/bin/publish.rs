//! Publishes the work to a broker that fans it out: NATS, or nginx with nchan.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::process::ExitCode;
use std::thread;

use clap::{Parser, ValueEnum};
use floor::metronome::{Metronome, Wait, now};
use floor::raw48;
use tokio_tungstenite::tungstenite::{self, Bytes, Message, WebSocket};

/// Says hello; the broker may talk now.
const NATS_HELLO: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\",\
    \"version\":\"0\",\"protocol\":1}\r\n";
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Broker {
    /// Its client protocol over TCP
    Nats,
    /// A publisher's WebSocket
    Nchan,
}

/// Publishes the lab's messages to a broker on loopback, until it is ended
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Whom to publish to
    #[arg(long, value_enum)]
    to: Broker,
    /// Its port
    #[arg(long, value_name = "PORT")]
    port: u16,
    /// Subject of NATS, or path of nchan
    #[arg(long, value_name = "NAME")]
    topic: String,
    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
}

#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error("127.0.0.1:{0} can't be reached: {1}")]
    Connect(u16, io::Error),
    #[error("the broker upgraded no publisher: {0}")]
    Upgrade(String),
    #[error("the broker's connection: {0}")]
    Io(#[from] io::Error),
    #[error("the broker's connection: {0}")]
    WebSocket(#[from] tungstenite::Error),
}

fn main() -> ExitCode {
    match publish(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publish: {error}");
            ExitCode::FAILURE
        }
    }
}

fn publish(args: &Args) -> Result<(), PublishError> {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, args.port));
    let socket = connected.map_err(|error| PublishError::Connect(args.port, error))?;
    socket.set_nodelay(true)?;
    match args.to {
        Broker::Nats => publish_nats(args, socket),
        Broker::Nchan => publish_nchan(args, socket),
    }
}

fn publish_nats(args: &Args, mut socket: TcpStream) -> Result<(), PublishError> {
    socket.write_all(NATS_HELLO)?;
    let (mut from, mut to) = (socket.try_clone()?, socket.try_clone()?);
    thread::spawn(move || {
        let mut heard = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut heard) {
            // A broker pings once in a while, with nothing else in the way.
            let pinged = heard[..read].windows(PING.len()).any(|window| window == PING);
            if pinged && to.write_all(PONG).is_err() {
                break;
            }
        }
        hang_up(&from);
    });
    let head = format!("PUB {} {}\r\n", args.topic, raw48::MESSAGE);
    let mut out = Vec::new();
    pace(args.rate, |burst| {
        out.clear();
        for message in burst {
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(message);
            out.extend_from_slice(b"\r\n");
        }
        Ok(socket.write_all(&out)?)
    })
}

fn publish_nchan(args: &Args, socket: TcpStream) -> Result<(), PublishError> {
    let url = format!("ws://127.0.0.1:{}{}", args.port, args.topic);
    let mut receipts = socket.try_clone()?;
    let upgraded = tungstenite::client(url, socket);
    let (mut stream, _): (WebSocket<TcpStream>, _) =
        upgraded.map_err(|error| PublishError::Upgrade(error.to_string()))?;
    thread::spawn(move || {
        // Each message gets one, and the connection stalls where nobody reads them.
        let mut unread = [0; 65_536];
        while let Ok(1..) = receipts.read(&mut unread) {}
        hang_up(&receipts);
    });
    pace(args.rate, |burst| {
        for message in burst {
            stream.write(Message::Binary(Bytes::copy_from_slice(message)))?;
        }
        Ok(stream.flush()?)
    })
}

/// Makes the next write fail, which tells that the broker is gone.
fn hang_up(socket: &TcpStream) {
    // Where it is shut down already there is nothing left to do.
    let _ = socket.shutdown(Shutdown::Both);
}

/// Brings the messages of each tick, until sending them fails.
fn pace(
    rate: u64,
    mut send: impl FnMut(&[[u8; raw48::MESSAGE]]) -> Result<(), PublishError>,
) -> Result<(), PublishError> {
    let mut metronome = Metronome::new(rate, Wait::Sleep, now());
    let (mut seq, mut burst) = (0, Vec::new());
    loop {
        metronome.wait();
        burst.clear();
        while let Some(tick) = metronome.due(now()) {
            for _ in 0..tick.records {
                burst.push(raw48::message(seq, tick.at));
                seq += 1;
            }
        }
        send(&burst)?;
    }
}
