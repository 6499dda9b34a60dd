//! How many may come. A trusted proxy on loopback speaks for the addresses: on loopback itself
//! there are no limits per address.

use std::net::TcpStream;

use crate::front::{Front, get, head, rest, status};

/// From this address, by a PROXY header.
pub(crate) fn from(address: &str, bytes: &str) -> String {
    let (name, to) = if address.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
    format!("PROXY {name} {address} {to} 40000 443\r\n{bytes}")
}

/// A server that takes PROXY headers from loopback.
pub(crate) fn proxied(more: &[&str]) -> Front {
    let trusting = ["--trusted-proxies=127.0.0.1", "--proxy-protocol=from-trusted"];
    Front::start(&[&trusting[..], more].concat())
}

/// A stream from this address, or the status it was refused with.
fn open(front: &Front, address: &str) -> Result<TcpStream, u16> {
    let mut stream = front.say(from(address, &front.handshake("")));
    match status(&head(&mut stream)) {
        101 => Ok(stream),
        refused => Err(refused),
    }
}

/// A page that does not ask for somebody else.
fn page(front: &Front, path: &str) -> String {
    front.answer(format!("PROXY UNKNOWN\r\n{}", get(path, front.address())))
}

fn events(front: &Front, event: &str) -> f64 {
    let label = format!("{{event=\"{event}\"}}");
    crate::front::metric(&page(front, "/metrics"), "broadtape_security_events_total", &label)
}

#[test]
fn an_address_has_as_many_as_it_may_under_eight_at_once() {
    let front = proxied(&["--max-per-address=20", "--rate-per-address=none"]);
    let streams: Vec<TcpStream> = std::thread::scope(|scope| {
        let many = || (0..10).filter_map(|_| open(&front, "203.0.113.7").ok()).collect::<Vec<_>>();
        let attackers: Vec<_> = (0..8).map(|_| scope.spawn(many)).collect();
        attackers.into_iter().flat_map(|attacker| attacker.join().unwrap()).collect()
    });
    assert_eq!(streams.len(), 20);
    assert_eq!(events(&front, "address_limit"), 60.0);
    assert_eq!(open(&front, "203.0.113.7").err(), Some(429));
    // Another one is not concerned, and who leaves makes room.
    assert!(open(&front, "203.0.113.8").is_ok());
    drop(streams);
    let begun = std::time::Instant::now();
    while open(&front, "203.0.113.7").is_err() {
        assert!(begun.elapsed() < crate::front::PATIENCE, "what has ended still counts");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn an_ipv6_host_is_its_64() {
    let front = proxied(&["--max-per-address=2", "--rate-per-address=none"]);
    let _first = open(&front, "2001:db8:0:1::1").unwrap();
    let _second = open(&front, "2001:db8:0:1:ffff::2").unwrap();
    assert_eq!(open(&front, "2001:db8:0:1:1:2:3:4").err(), Some(429));
    assert!(open(&front, "2001:db8:0:2::1").is_ok());
    // IPv4 in an IPv6 coat is IPv4.
    let _third = open(&front, "::ffff:203.0.113.9").unwrap();
    let _fourth = open(&front, "203.0.113.9").unwrap();
    assert_eq!(open(&front, "::ffff:203.0.113.9").err(), Some(429));
}

#[test]
fn silent_connections_of_one_address_leave_room_for_others() {
    let front = proxied(&["--pending-per-address=50", "--rate-per-address=none"]);
    // Each is answered once, so that the server is known to have it.
    let silent: Vec<TcpStream> = (0..50)
        .map(|_| {
            let asked = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", front.address());
            let mut stream = front.say(from("203.0.113.7", &asked));
            assert_eq!(status(&head(&mut stream)), 200);
            stream
        })
        .collect();
    let refused = rest(&mut front.say(from("203.0.113.7", "")));
    assert_eq!(status(&refused), 429, "{refused}");
    assert!(
        refused.contains("retry-after: 5\r\n") && refused.contains("pending_limit"),
        "{refused}"
    );
    assert!(open(&front, "203.0.113.8").is_ok());
    drop(silent);
}

#[test]
fn who_comes_too_often_is_told_to_wait() {
    let front = proxied(&["--rate-per-address=1"]);
    let refused = (0..20).filter(|_| open(&front, "203.0.113.7").is_err()).count();
    // Two at once, and one for each second that this took.
    assert!(refused > 0 && open(&front, "203.0.113.8").is_ok());
    assert_eq!(events(&front, "address_rate"), refused as f64);
    let storm = Front::start(&["--handshake-rate=1"]);
    let statuses: Vec<u16> = (0..20).map(|_| status(&storm.answer(get("/healthz", "x")))).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
}

#[test]
fn a_server_takes_as_many_as_it_may() {
    let front = Front::start(&["--max-connections=5"]);
    let streams: Vec<TcpStream> = (0..5)
        .map(|_| {
            let mut stream = front.say(front.handshake(""));
            assert_eq!(status(&head(&mut stream)), 101);
            stream
        })
        .collect();
    let refused = rest(&mut front.connect());
    assert_eq!(status(&refused), 503, "{refused}");
    assert!(refused.contains("retry-after: 5\r\n") && refused.contains("connection_limit"));
    drop(streams);
    let begun = std::time::Instant::now();
    while status(&front.answer(get("/healthz", front.address()))) != 200 {
        assert!(begun.elapsed() < crate::front::PATIENCE, "what has ended still counts");
    }
}

#[test]
fn loopback_has_no_limits_of_its_own() {
    let front = Front::start(&["--max-per-address=1", "--pending-per-address=1"]);
    let streams: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = front.say(front.handshake(""));
            assert_eq!(status(&head(&mut stream)), 101);
            stream
        })
        .collect();
    assert_eq!(front.sessions(30).len(), streams.len());
}

#[test]
fn the_lists_close_the_door() {
    let front = proxied(&["--allow=203.0.113.0/24", "--deny=203.0.113.66", "--deny=2001:db8::/32"]);
    assert!(open(&front, "203.0.113.7").is_ok());
    for kept_out in ["203.0.113.66", "198.51.100.1", "::ffff:203.0.113.66", "2001:db8::1"] {
        // Not a word.
        assert_eq!(open(&front, kept_out).err(), Some(0), "{kept_out}");
    }
    assert_eq!(events(&front, "denied"), 4.0);
    let front = Front::start(&["--deny=127.0.0.0/8"]);
    assert_eq!(front.answer(get("/healthz", front.address())), "");
}

#[test]
fn who_is_denied_meanwhile_has_to_go() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("denied");
    std::fs::write(&path, "198.51.100.0/24\n").unwrap();
    let front = proxied(&[&format!("--deny-file={}", path.display())]);
    let streams = ["203.0.113.7", "203.0.113.77", "2001:db8:1::1", "192.0.2.1"]
        .map(|address| open(&front, address).unwrap());
    // Without an order: the file is seen to have changed.
    std::fs::write(&path, "203.0.113.0/24\n2001:db8::/32\n").unwrap();
    let [first, second, third, mut other] = streams;
    for mut stream in [first, second, third] {
        let told = rest(&mut stream);
        assert!(told.contains("\"code\":4508") && told.contains("\"denied\""), "{told}");
    }
    let closed = || {
        let page = page(&front, "/metrics");
        crate::front::metric(&page, "broadtape_closes_total", "reason=\"denied\"")
    };
    assert_eq!(closed(), 3.0);
    assert_eq!(open(&front, "203.0.113.7").err(), Some(0));
    assert!(open(&front, "198.51.100.1").is_ok());
    // The other goes on: it is answered.
    let asked = [&[0x81, 0x80 | 24, 0, 0, 0, 0][..], b"{\"id\":9,\"method\":\"ping\"}"].concat();
    assert_eq!(asked.len(), 6 + 24);
    std::io::Write::write_all(&mut other, &asked).unwrap();
    let (mut told, mut byte) = (Vec::new(), [0]);
    while !told.ends_with(b"\"id\":9,\"method\":\"ping\",\"success\":true") {
        std::io::Read::read_exact(&mut other, &mut byte).unwrap();
        told.push(byte[0]);
    }
    // A file that is broken denies nobody more.
    std::fs::write(&path, "192.0.2.0/24\nnonsense\n").unwrap();
    front.program.hang_up();
    assert!(open(&front, "192.0.2.1").is_ok());
}
