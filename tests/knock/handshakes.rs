//! Handshakes that are not right: each gets its status, the connection ends, and what was sent
//! behind it is not taken for a request.

use crate::front::{Front, handshake, status};

/// What is wrong, the request, and the status that it gets (0: the connection just ends).
pub(crate) type Bad = (&'static str, String, u16);

/// A handshake for `host` with one thing changed.
fn changed(host: &str, from: &str, to: &str) -> String {
    let right = handshake(host, "");
    assert!(right.contains(from), "{from}");
    right.replacen(from, to, 1)
}

/// The table.
pub(crate) fn table(host: &str) -> Vec<Bad> {
    let with = |more: &str| handshake(host, more);
    let get = "GET /v1/stream HTTP/1.1\r\n";
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let host_line = format!("Host: {host}\r\n");
    let without = |line: &str| changed(host, line, "");
    let method = |method: &str| changed(host, "GET", method);
    let keyed = |with: &str| changed(host, key, with);
    let version = |with: &str| changed(host, "Version: 13", with);
    let query = |query: &str| changed(host, "/v1/stream", &format!("/v1/stream?{query}"));
    let upgrade = |with: &str| changed(host, "Upgrade: websocket", with);
    let hosted = |lines: &str| changed(host, &host_line, lines);
    let start = |line: &str| changed(host, get, line);
    let many = "x: y\r\n".repeat(60);
    vec![
        ("POST", method("POST"), 405),
        ("PUT", method("PUT"), 405),
        ("HEAD", method("HEAD"), 405),
        ("OPTIONS", method("OPTIONS"), 405),
        ("a method in lower case", method("get"), 405),
        ("a method of its own", method("UPGRADE"), 405),
        ("no method", start(" /v1/stream HTTP/1.1\r\n"), 400),
        ("HTTP/1.0", start("GET /v1/stream HTTP/1.0\r\n"), 400),
        ("HTTP/0.9", start("GET /v1/stream\r\n"), 400),
        ("HTTP/2.0", start("GET /v1/stream HTTP/2.0\r\n"), 400),
        ("two spaces", start("GET  /v1/stream HTTP/1.1\r\n"), 400),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 0),
        ("a target with a host", start(&format!("GET http://{host}/v1/stream HTTP/1.1\r\n")), 400),
        ("another host's target", start("GET http://evil.example/v1/stream HTTP/1.1\r\n"), 400),
        ("CONNECT", start(&format!("CONNECT {host} HTTP/1.1\r\n")), 400),
        ("no Host", hosted(""), 400),
        ("Host twice", hosted(&host_line.repeat(2)), 400),
        ("two hosts", hosted(&format!("{host_line}Host: evil.example\r\n")), 400),
        ("an empty Host", hosted("Host: \r\n"), 400),
        ("a Host that is none", hosted("Host: a/b@c\r\n"), 400),
        ("another Host", hosted("Host: evil.example\r\n"), 421),
        ("another port", hosted("Host: localhost:1\r\n"), 421),
        ("no Upgrade", without("Upgrade: websocket\r\n"), 400),
        ("Upgrade to something else", upgrade("Upgrade: websockets"), 400),
        ("h2c", upgrade("HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nUpgrade: h2c"), 400),
        ("no Connection", without("Connection: Upgrade\r\n"), 400),
        ("Connection: close", changed(host, "Connection: Upgrade", "Connection: close"), 400),
        ("no version", without("Sec-WebSocket-Version: 13\r\n"), 426),
        ("version 12", version("Version: 12"), 426),
        ("version 14", version("Version: 14"), 426),
        ("version 8", version("Version: 8"), 426),
        ("version 0", version("Version: 0"), 426),
        ("version 013", version("Version: 013"), 426),
        ("versions 13, 8", version("Version: 13, 8"), 426),
        ("version twice", with("Sec-WebSocket-Version: 13\r\n"), 400),
        ("no key", changed(host, &format!("Sec-WebSocket-Key: {key}\r\n"), ""), 400),
        ("an empty key", keyed(""), 400),
        ("a key of 15 bytes", keyed("MDEyMzQ1Njc4OWFiY2Rl"), 400),
        ("a key of 17 bytes", keyed("MDEyMzQ1Njc4OWFiY2RlZmc="), 400),
        ("a key without padding", keyed("dGhlIHNhbXBsZSBub25jZQ"), 400),
        ("a key that is not base64", keyed("!!!!!!!!!!!!!!!!!!!!!!=="), 400),
        ("two keys", with(&format!("Sec-WebSocket-Key: {key}\r\n")), 400),
        ("no origin at all", with("Origin: null\r\n"), 403),
        ("another site", with("Origin: https://evil.example\r\n"), 403),
        ("a longer site", with(&format!("Origin: http://{host}.evil.example\r\n")), 403),
        ("two origins", with(&format!("Origin: http://{host}\r\nOrigin: http://a\r\n")), 400),
        ("an unknown subprotocol", with("Sec-WebSocket-Protocol: chat\r\n"), 400),
        ("an unknown encoding", query("encoding=xml"), 400),
        ("an unknown parameter", query("colour=red"), 400),
        ("a body", with("Content-Length: 5\r\n"), 400),
        ("chunks", with("Transfer-Encoding: chunked\r\n"), 400),
        ("TE and CL", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400),
        ("CL and TE", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("two lengths", with("Content-Length: 0\r\nContent-Length: 5\r\n"), 400),
        ("a length with a sign", with("Content-Length: +5\r\n"), 400),
        ("a coding behind chunked", with("Transfer-Encoding: chunked, x\r\n"), 400),
        ("a space before the colon", with("Transfer-Encoding : chunked\r\n"), 400),
        ("a folded line", with("X: a\r\n b\r\n"), 400),
        ("a bare LF", with("X: a\nY: b\r\n"), 400),
        ("bare LFs only", handshake(host, "").replace("\r\n", "\n"), 400),
        ("a bare CR", with("X: a\rY: b\r\n"), 400),
        ("a NUL", with("X: a\0b\r\n"), 400),
        ("a name with a space", with("X Y: b\r\n"), 400),
        ("no name", with(": b\r\n"), 400),
        ("a long header", with(&format!("X: {}\r\n", "y".repeat(10_000))), 431),
        ("65 headers", with(&many), 431),
        ("a long target", query(&"y".repeat(10_000)), 431),
    ]
}

/// How many answers a stream of them holds.
fn answers(all: &str) -> usize {
    all.matches("HTTP/1.1 ").count() + all.matches("HTTP/1.0 ").count()
}

#[test]
fn each_gets_its_status_and_nothing_is_read_behind_it() {
    let front = Front::start(&[]);
    let behind = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", front.address());
    let table = table(front.address());
    assert!(table.len() >= 60);
    let mut wrong = Vec::new();
    for (name, request, expected) in &table {
        let said = front.answer(format!("{request}{behind}"));
        let right = status(&said) == *expected && answers(&said) == usize::from(*expected > 0);
        if !right {
            wrong.push(format!("{name}: {expected} is expected, not {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // The one that is right still is, and all of them were counted.
    let mut stream = front.say(front.handshake(""));
    assert_eq!(status(&crate::front::head(&mut stream)), 101);
    assert!(front.events("handshake") >= 25.0);
    assert!(front.events("host") == 2.0 && front.events("origin") == 3.0);
    assert!(front.events("request") >= 4.0);
}

#[test]
fn an_answer_says_what_would_be_right() {
    let front = Front::start(&[]);
    let asked = |request: String| front.answer(request);
    let version = asked(front.handshake("").replace("Version: 13", "Version: 8"));
    assert!(version.contains("sec-websocket-version: 13\r\n"), "{version}");
    let host = asked(crate::front::get("/", "evil.example"));
    assert!(status(&host) == 421 && host.contains("--hosts"), "{host}");
    let origin = asked(front.handshake("Origin: https://evil.example\r\n"));
    assert!(origin.contains("--origins") && origin.contains("nosniff"), "{origin}");
    for answer in [version, host, origin] {
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
}

#[test]
fn a_body_is_never_the_next_request() {
    let front = Front::start(&[]);
    let host = front.address();
    let hidden = format!("GET /v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let said = front.answer(request.repeat(2));
    assert_eq!((status(&said), answers(&said)), (200, 1), "{said}");
}
