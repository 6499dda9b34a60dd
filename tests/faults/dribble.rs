//! Slowloris: bytes that come one at a time, at every stage of a connection.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::raw::{Raw, frame, handshake};
use crate::server::Server;
use crate::witness::Witness;

/// Sends one byte after the other on each until none takes any more, or `done`.
fn dribble(streams: &mut [TcpStream], bytes: &[u8], mut done: impl FnMut() -> bool) {
    for byte in bytes.iter().cycle() {
        for stream in streams.iter_mut() {
            // The server may have ended it, which is what it is for.
            let _ = stream.write(&[*byte]);
        }
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_request_in_single_bytes_is_cut_off_in_time() {
    let server = Server::start(&["--handshake-timeout", "1s"]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let mut streams: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    let mut head = handshake("/v1/stream");
    head.insert_str(head.len() - 2, &format!("x-long: {}", "x".repeat(4000)));
    let refused = || server.metric("broadtape_gate_refused_total", "handshake_timeout");
    dribble(&mut streams, head.as_bytes(), || refused() >= 200.0);
    server.wait_for_quiet(1, before);
    let trades = witness.lost_nothing();
    println!("200 requests in single bytes: 200 cut off at 1 s, a witness lost 0 of {trades}");
}

#[test]
fn a_message_in_single_bytes_ends_with_no_pong() {
    let server = Server::start(&["--ping", "300ms", "--pong-timeout", "2s"]);
    let witness = Witness::start(&server);
    let (descriptors, memory) = (server.descriptors(), server.memory());
    let mut streams: Vec<TcpStream> =
        (0..200).map(|_| Raw::open(&server, "json").into_parts().0).collect();
    let message = frame(0x81, &[b' '; 60_000]);
    let ended = || server.metric("broadtape_closes_total", "no_pong");
    dribble(&mut streams, &message, || ended() >= 200.0);
    let grown = server.memory().saturating_sub(memory) >> 20;
    assert!(grown < 32, "{grown} MiB for 200 messages that have not come");
    drop(streams);
    server.wait_for_quiet(1, descriptors);
    let trades = witness.lost_nothing();
    println!(
        "200 messages in single bytes: 200 closed (4001), {grown} MiB more memory, \
         a witness lost 0 of {trades}"
    );
}
