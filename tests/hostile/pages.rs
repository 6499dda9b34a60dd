//! HTTP that no browser sends.

use std::io::{Read, Write};

use crate::raw::handshake;
use crate::server::Server;
use crate::witness::Witness;

/// The status codes in a stream of answers.
fn codes(answers: &str) -> Vec<&str> {
    let starts = answers.match_indices("HTTP/1.").map(|(at, _)| &answers[at + 9..at + 12]);
    starts.collect()
}

#[test]
fn what_is_no_request_gets_its_status() {
    let server = Server::start(&[]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let with =
        |header: &str| get("/healthz").replacen("host: x", &format!("host: x\r\n{header}"), 1);
    let shake = |from: &str, to: &str| handshake("/v1/stream").replacen(from, to, 1);
    for (code, request) in [
        ("200", get("/healthz")),
        ("400", "nonsense\r\n\r\n".to_owned()),
        ("400", "GET /healthz HTTP/9.9\r\n\r\n".to_owned()),
        ("400", "GET  /healthz HTTP/1.1\r\n\r\n".to_owned()),
        ("400", with("x\u{1}y: 1")),
        ("404", get("/nothing")),
        ("404", get("/v1/../metrics")),
        ("405", get("/metrics").replacen("GET", "DELETE", 1)),
        ("405", get("/").replacen("GET", "POST", 1)),
        ("400", get("/healthz?x=1")),
        ("400", get("/v1/instruments?symbols=%zz")),
        ("400", get("/v1/instruments?symbols=%ff")),
        ("400", get("/v1/instruments?limit=99999999999999999999")),
        ("400", get("/v1/instruments?symbols=A&symbols=B")),
        ("400", get("/v1/last")),
        ("426", get("/v1/stream")),
        ("431", with(&format!("x: {}", "y".repeat(10_000)))),
        ("431", with(&"a: b\r\n".repeat(100)).replace("\r\n\r\nhost", "\r\nhost")),
        ("431", get(&format!("/{}", "y".repeat(70_000)))),
        ("426", shake("version: 13", "version: 12")),
        ("400", shake("dGhlIHNhbXBsZSBub25jZQ==", "short")),
        ("400", shake("/v1/stream", "/v1/stream?encoding=xml")),
        ("400", shake("/v1/stream", "/v1/stream?token=1")),
        ("403", shake("host: test", "host: test\r\norigin: http://elsewhere")),
        ("405", shake("GET", "PUT")),
    ] {
        let answer = server.answer(request.as_bytes());
        let shown = &request[..request.len().min(100)];
        assert_eq!(codes(&answer).first(), Some(&code), "{shown:?}: {answer:?}");
    }
    server.wait_for_quiet(1, before);
    witness.lost_nothing();
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::start(&[]);
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let last = "GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let requests = format!("{}{last}", [one("/healthz"), one("/nowhere")].concat().repeat(200));
    let answers = server.answer(requests.as_bytes());
    let expected = [["200", "404"].repeat(200), vec!["404"]].concat();
    assert_eq!(codes(&answers), expected);
}

#[test]
fn a_kept_connection_serves_many_requests() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let mut answer = [0; 4096];
    for n in 0..1_000 {
        stream.write_all(b"HEAD /readyz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let count = stream.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..count]);
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"), "{n}: {text}");
    }
}
