//! Streams over TLS are the streams of the protocol: every count exact, slow readers bounded, ends
//! said by both layers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use rustls::version::{TLS12, TLS13};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::server::{BOTH, Secure, Server};
use crate::wire::{Message, long};

const CLOSES: &str = "broadtape_closes_total";
const RECORDS: usize = 20_000;
const QUEUE: u64 = 128 << 10;
const MASK: [u8; 4] = [0; 4];

#[tokio::test]
async fn every_record_comes_and_is_counted() {
    let server = Server::start(&["--rate", "5000", "--shards", "2", "--queue", "64MiB"]);
    let mut clients = Vec::new();
    for version in [&TLS12, &TLS13, &TLS12, &TLS13] {
        let mut client = server.client(server.authority.client(&[version], None)).await;
        client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
        clients.push(client);
    }
    let sessions = server.program.get("/v1/sessions");
    let mut versions: Vec<_> =
        sessions["sessions"].as_array().unwrap().iter().map(|s| s["tls"].clone()).collect();
    versions.sort_by_key(ToString::to_string);
    assert_eq!(versions, ["1.2", "1.2", "1.3", "1.3"]);
    let readers = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let records = client.records(RECORDS).await;
            let first = records[0].sequence;
            let numbers = records.iter().map(|record| record.sequence);
            assert!(numbers.eq(first..first + records.len() as u32), "no hole");
            // The ledger holds its counts against what came.
            client.heartbeat().await;
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn who_does_not_read_is_conflated_and_bounded() {
    let queue = QUEUE.to_string();
    let args = ["--scenario", "calm", "--rate", "5000", "--queue", &queue, "--heartbeat", "100ms"];
    let server = Server::start(&args);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.program.address.parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(socket.into()).unwrap();
    let mut slow = server.client_over(stream, server.trusting()).await;
    slow.subscribe(json!({"schema": "mbp-1", "symbols": "*"})).await;
    let state = || server.program.get("/v1/sessions")["sessions"][0]["state"].clone();
    while state() != "live" {
        slow.records(100).await;
    }
    server.wait_until("it is behind", |server| {
        let session = &server.program.get("/v1/sessions")["sessions"][0];
        assert!(long(&session["queued_bytes"]) <= QUEUE, "{session}");
        session["state"] == "behind"
    });
    let conflated = |message: &Message| match message {
        Message::Text(text) if text["type"] == "heartbeat" => {
            long(&text["subscriptions"][0]["conflated"]) > 100
        }
        _ => false,
    };
    let messages = slow.until(conflated).await;
    let lagging = messages.iter().find_map(|message| match message {
        Message::Text(text) if text["type"] == "lagging" => Some(text.clone()),
        _ => None,
    });
    assert_eq!(lagging.expect("it is told")["then"], "conflate");
    slow.heartbeat().await;
}

#[tokio::test]
async fn on_sigterm_every_client_is_told() {
    let server = Server::start(&["--drain", "2s"]);
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.client(server.trusting()).await;
        client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
        clients.push(client);
    }
    server.program.terminate();
    for mut client in clients {
        client.rest().await;
        assert_eq!(client.ledger.closed, Some(1012));
        assert!(client.ledger.closing.is_some());
    }
    assert_eq!(server.program.ended().code(), Some(0));
}

/// An upgraded connection, and what came behind the answer.
fn upgraded(server: &Server, path: &str) -> (Secure, Vec<u8>) {
    let mut stream = server.connect(server.trusting()).unwrap();
    stream.write_all(server.upgrade(path).as_bytes()).unwrap();
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        answer.extend(&buffer[..count]);
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            assert!(answer.starts_with(b"HTTP/1.1 101"));
            return (stream, answer.split_off(end + 4));
        }
    }
}

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut bytes = match length {
        0..126 => vec![first, 0x80 | length as u8],
        _ => [&[first, 0xff][..], &(length as u64).to_be_bytes()].concat(),
    };
    bytes.extend(MASK);
    bytes.extend(payload);
    bytes
}

#[test]
fn the_end_is_said_as_a_websocket_and_as_tls() {
    let server = Server::start(&[]);
    let (mut stream, mut came) = upgraded(&server, "/v1/stream");
    stream.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
    // An end without close_notify would be an error.
    stream.read_to_end(&mut came).unwrap();
    assert!(came.ends_with(&[0x88, 2, 0x03, 0xe8]), "{:?}", &came[came.len() - 16..]);
    server.wait_for(CLOSES, "client_closed", 1);
}

#[test]
fn an_end_of_tls_alone_is_answered_as_such() {
    let server = Server::start(&[]);
    let (mut stream, mut came) = upgraded(&server, "/v1/stream");
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    stream.read_to_end(&mut came).unwrap();
    server.wait_for(CLOSES, "client_gone", 1);
}

#[test]
fn a_record_that_is_forged_ends_the_connection() {
    let server = Server::start(&[]);
    let (mut stream, _) = upgraded(&server, "/v1/stream");
    let forged = [&[23, 3, 3, 0, 32][..], &[9; 32]].concat();
    stream.sock.write_all(&forged).unwrap();
    let end = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::InvalidData, "an alert: {end}");
    server.wait_for(CLOSES, "tls_error", 1);
}

#[test]
fn keys_are_renewed_and_messages_cut_anywhere() {
    let server = Server::start(&["--enable-echo"]);
    let (mut stream, mut came) = upgraded(&server, "/v1/echo");
    let payload: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let message = frame(0x82, &payload);
    let (dribbled, rest) = message.split_at(600);
    for byte in dribbled {
        // A record of TLS for each byte.
        stream.write_all(&[*byte]).unwrap();
    }
    stream.conn.refresh_traffic_keys().unwrap();
    stream.write_all(rest).unwrap();
    let whole = 10 + payload.len();
    let mut buffer = vec![0; 64 << 10];
    while came.len() < whole {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0);
        came.extend(&buffer[..count]);
    }
    assert!(came[10..] == payload, "what was sent comes back");
    for _ in 0..200 {
        stream.conn.refresh_traffic_keys().unwrap();
        stream.write_all(&frame(0x89, b"")).unwrap();
        let mut pong = [0; 2];
        stream.read_exact(&mut pong).unwrap();
        assert_eq!(pong, [0x8a, 0]);
    }
}

#[test]
fn what_comes_with_the_request_is_not_lost() {
    let server = Server::start(&["--enable-echo"]);
    let mut stream = server.connect(server.authority.client(BOTH, None)).unwrap();
    let mut request = server.upgrade("/v1/echo").into_bytes();
    for n in 0..1_000_u32 {
        request.extend(frame(0x82, &n.to_be_bytes()));
    }
    stream.write_all(&request).unwrap();
    let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
    let echoed = |came: &[u8]| {
        let end = came.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        (came.len() >= end + 6 * 1_000).then_some(end)
    };
    let end = loop {
        if let Some(end) = echoed(&came) {
            break end;
        }
        let count = stream.read(&mut buffer).unwrap();
        came.extend(&buffer[..count]);
    };
    for (n, frame) in came[end..].chunks(6).enumerate() {
        assert_eq!(frame, [&[0x82, 4][..], &(n as u32).to_be_bytes()].concat());
    }
}
