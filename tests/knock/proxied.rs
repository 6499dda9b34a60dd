//! Proxies that speak for others: those that are trusted are believed, others are not.

use std::io::Write;

use crate::front::{Front, get, head, status};
use crate::limits::{from, proxied};

/// A PROXY header of version 2 for 203.0.113.7:4000.
fn version_2() -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 127, 0, 0, 1, 0x0f, 0xa0, 0x01, 0xbb];
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &addresses[..]].concat()
}

#[test]
fn the_client_is_whom_the_proxy_names() {
    let front = proxied(&[]);
    let one = from("203.0.113.5", &front.handshake("")).into_bytes();
    let two = [&version_2()[..], front.handshake("").as_bytes()].concat();
    let six = from("2001:db8::9", &front.handshake("")).into_bytes();
    let itself = format!("PROXY UNKNOWN\r\n{}", front.handshake("")).into_bytes();
    let mut kept = Vec::new();
    for bytes in [one, two, six, itself] {
        // Byte by byte, as a bad line would have it.
        let mut stream = front.connect();
        stream.set_nodelay(true).unwrap();
        bytes.chunks(7).for_each(|piece| stream.write_all(piece).unwrap());
        assert_eq!(status(&head(&mut stream)), 101);
        kept.push(stream);
    }
    let listed = front.answer(format!("PROXY UNKNOWN\r\n{}", get("/v1/sessions", front.address())));
    for peer in ["203.0.113.5:40000", "203.0.113.7:4000", "[2001:db8::9]:40000"] {
        let peer = format!("\"peer\":\"{peer}\",\"via\":\"127.0.0.1\"");
        assert!(listed.contains(&peer), "{peer}: {listed}");
    }
    assert!(listed.contains("\"via\":null"), "{listed}");
}

#[test]
fn what_is_no_header_ends_the_connection() {
    let front = proxied(&[]);
    let request = get("/healthz", front.address());
    let wrong = [
        request.clone().into_bytes(),
        format!("PROXY TCP4 1.2.3.4\r\n{request}").into_bytes(),
        format!("PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n{request}").into_bytes(),
        format!("PROXY {}\r\n{request}", "x".repeat(200)).into_bytes(),
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c", &[0; 12][..]].concat(),
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", &[0; 12][..]].concat(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ];
    for bytes in &wrong {
        assert_eq!(front.answer(bytes), "", "{:?}", String::from_utf8_lossy(bytes));
    }
    let page = front.answer(format!("PROXY UNKNOWN\r\n{}", get("/metrics", front.address())));
    let name = "broadtape_security_events_total";
    let counted = crate::front::metric(&page, name, "{event=\"proxy_header\"}");
    assert_eq!(counted, wrong.len() as f64);
}

#[test]
fn nobody_else_is_believed() {
    // A proxy, but not this one.
    let front = Front::start(&[
        "--trusted-proxies=10.0.0.0/8",
        "--proxy-protocol=from-trusted",
        "--deny=203.0.113.0/24",
    ]);
    let said = front.answer(from("203.0.113.5", &get("/healthz", front.address())));
    assert_eq!(status(&said), 400, "{said}");
    let mut stream = front.say(front.handshake("X-Forwarded-For: 203.0.113.5\r\n"));
    assert_eq!(status(&head(&mut stream)), 101);
    let session = &front.sessions(1)[0];
    assert!(session["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{session}");
    assert!(session["via"].is_null());
}

#[test]
fn forwarded_for_counts_from_the_right() {
    let front = Front::start(&[
        "--trusted-proxies=127.0.0.1",
        "--trusted-proxies=10.0.0.0/8",
        "--max-per-address=2",
        "--deny=198.51.100.0/24",
    ]);
    let open = |list: &str| {
        let mut stream = front.say(front.handshake(&format!("X-Forwarded-For: {list}\r\n")));
        (status(&head(&mut stream)), stream)
    };
    let first = open("203.0.113.5");
    let second = open("1.2.3.4, 203.0.113.5, 10.1.1.1");
    assert_eq!((first.0, second.0), (101, 101));
    // What the client wrote itself doesn't help it.
    assert_eq!(open("198.51.100.1, 203.0.113.5").0, 429);
    assert_eq!(open("203.0.113.6, 203.0.113.5").0, 429);
    assert_eq!(open("198.51.100.1").0, 403);
    assert_eq!(open("unknown").0, 400);
    let third = open("203.0.113.6");
    assert_eq!(third.0, 101);
    let peers: Vec<String> =
        front.sessions(3).iter().map(|s| s["peer"].as_str().unwrap().to_owned()).collect();
    assert_eq!(peers, ["203.0.113.5:0", "203.0.113.5:0", "203.0.113.6:0"]);
    assert_eq!((front.events("forwarded_header"), front.events("denied")), (1.0, 1.0));
}
