//! Bytes that are no WebSocket frames, or no messages, or too many of them.

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::json;

use crate::raw::{Ending, Raw, announced, frame};
use crate::server::Server;
use crate::witness::Witness;

/// The ending that a close code asks for: said twice, and not eaten by a reset.
fn with(code: u16) -> Ending {
    Ending { closing: Some(u64::from(code)), code: Some(code), closed: true, reset: false }
}

/// Bytes of fragments: the first with this opcode, none the last.
fn fragments(opcode: u8, payload: &[u8], count: usize) -> Vec<u8> {
    [frame(opcode, payload), frame(0x00, payload).repeat(count - 1)].concat()
}

#[test]
fn what_is_forbidden_gets_its_code() {
    let server = Server::start(&[]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let mut unmasked = frame(0x81, b"{}");
    unmasked[1] &= 0x7f;
    for (what, code, bytes) in [
        ("an unmasked frame", 1002, unmasked),
        ("a reserved bit", 1002, frame(0xc1, b"{}")),
        ("an unknown opcode", 1002, frame(0x83, b"{}")),
        ("an unknown control opcode", 1002, frame(0x8b, b"")),
        ("a continuation of nothing", 1002, frame(0x80, b"x")),
        ("a message within a message", 1002, [frame(0x01, b"x"), frame(0x81, b"x")].concat()),
        ("a ping in fragments", 1002, frame(0x09, b"")),
        ("a long ping", 1002, frame(0x89, &[b'x'; 126])),
        ("a length in more bytes than it needs", 1002, announced(0x81, 2)),
        ("a length of 2^63", 1002, announced(0x81, 1 << 63)),
        ("a close frame of one byte", 1002, frame(0x88, b"\x03")),
        ("a close code that may not be sent", 1002, frame(0x88, &1005_u16.to_be_bytes())),
        ("a binary message", 1003, frame(0x82, b"{}")),
        ("text that is no UTF-8", 1007, frame(0x81, b"\xff")),
        ("a cut character", 1007, [frame(0x01, b"\xce"), frame(0x80, b"")].concat()),
        ("close words that are no UTF-8", 1007, frame(0x88, b"\x03\xe8\xff")),
        ("thousands of empty fragments", 1008, fragments(0x01, b"", 5_000)),
        ("60 MiB announced", 1009, announced(0x81, 60 << 20)),
        (
            "60 MiB announced and begun",
            1009,
            [announced(0x81, 60 << 20), vec![0; 1 << 20]].concat(),
        ),
        ("a limit passed in large fragments", 1009, fragments(0x01, &[b'a'; 60_000], 50)),
        ("a limit passed in fragments of a byte", 1009, fragments(0x01, b"a", 100_000)),
    ] {
        let mut raw = Raw::open(&server, "json");
        raw.send(&bytes);
        // What follows is ignored, and must not turn the farewell into a reset.
        raw.send(&[0xaa; 64 << 10]);
        assert_eq!(raw.ending(), with(code), "{what}");
    }
    assert_eq!(server.metric("broadtape_closes_total", "protocol_error"), 12.0);
    server.wait_for_quiet(1, before);
    witness.lost_nothing();
}

#[test]
fn a_close_frame_is_answered_in_kind() {
    let server = Server::start(&[]);
    for (payload, code) in
        [(&b""[..], None), (b"\x03\xe8bye", Some(1000)), (b"\x0f\xa0", Some(4000))]
    {
        let mut raw = Raw::open(&server, "json");
        // Behind a close frame nothing is read.
        raw.send(&[frame(0x88, payload), frame(0x82, b"x")].concat());
        let ending = Ending { code, closed: true, ..Ending::default() };
        assert_eq!(raw.ending(), ending, "{payload:?}");
    }
}

#[test]
fn a_request_is_the_same_however_its_bytes_are_cut() {
    let server = Server::start(&["--message-rate", "100000", "--message-burst", "100000"]);
    let mut raw = Raw::open(&server, "json");
    let ping = br#"{"id":7,"method":"ping","params":{"data":"h\u00e9llo"}}"#;
    let (front, back) = ping.split_at(20);
    let bytes = [frame(0x01, front), frame(0x89, b"!"), frame(0x80, back)].concat();
    for cut in 0..=bytes.len() {
        raw.send(&bytes[..cut]);
        raw.send(&bytes[cut..]);
        assert_eq!(raw.answer_to(7)["result"]["data"], "héllo", "cut at {cut}");
    }
    for byte in &bytes {
        raw.send(std::slice::from_ref(byte));
    }
    assert_eq!(raw.answer_to(7)["result"]["data"], "héllo");
}

#[test]
fn a_handshake_may_bring_the_first_request_along() {
    let server = Server::start(&[]);
    let request = frame(0x81, br#"{"id":1,"method":"ping"}"#);
    let mut raw = Raw::open_with(&server, "json", &request);
    assert_eq!(raw.answer_to(1)["success"], true);
}

#[test]
fn random_bytes_end_one_connection_each() {
    let server = Server::start(&[]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let mut random = Pcg64::seed_from_u64(1);
    for n in 0..150 {
        let mut raw = Raw::open(&server, if n % 2 == 0 { "json" } else { "dbn" });
        let mut bytes = vec![0; random.random_range(1..2_000)];
        random.fill_bytes(&mut bytes);
        if n % 3 == 0 {
            // Sound frames of random content, so that some of it gets further.
            let opcode = [0x81, 0x01, 0x80, 0x89, 0x8a][random.random_range(0..5)];
            bytes = bytes.chunks(200).flat_map(|chunk| frame(opcode, chunk)).collect();
        }
        raw.send(&bytes);
        raw.send(&frame(0x88, b""));
        let ending = raw.ending();
        let sound = ending.closed && !ending.reset || ending.closing.is_none();
        assert!(
            sound && ending.code.is_none_or(|code| (1002..=1009).contains(&code)),
            "{ending:?}"
        );
    }
    server.wait_for_quiet(1, before);
    witness.lost_nothing();
}

#[test]
fn pings_are_answered_in_their_order() {
    let server = Server::start(&[]);
    let mut raw = Raw::open(&server, "dbn");
    let pings: Vec<u8> = (0..50_u8).flat_map(|n| frame(0x89, &[n])).collect();
    raw.send(&pings);
    let mut pongs = Vec::new();
    while pongs.len() < 50 {
        let frame = raw.next().unwrap();
        if frame.opcode == 10 {
            pongs.extend(frame.payload);
        }
    }
    assert_eq!(pongs, (0..50).collect::<Vec<u8>>());
    assert_eq!(raw.ask(1, "subscriptions", json!({}))["success"], true);
}
