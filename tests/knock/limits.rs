//! How many may come. A trusted proxy on loopback speaks for the addresses: on loopback itself
//! there are no limits per address.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::front::{Front, PATIENCE, get, head, metric, rest, status};

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
    metric(&page(front, "/metrics"), "broadtape_security_events_total", &label)
}

/// Waits until something is so.
#[track_caller]
fn until(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "it does not become so");
        std::thread::sleep(Duration::from_millis(5));
    }
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
    until(|| open(&front, "203.0.113.7").is_ok());
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
    let begun = Instant::now();
    while status(&front.answer(get("/healthz", front.address()))) != 200 {
        assert!(begun.elapsed() < PATIENCE, "what has ended still counts");
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
        metric(&page, "broadtape_closes_total", "reason=\"denied\"")
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

/// A folder with a recording that no buffers of a connection hold.
fn large_recording() -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("big.dbn");
    let mut simulate = crate::program::broadtape();
    simulate.args(["simulate", "--rate=50000", "--for=5s", "-o"]).arg(file);
    crate::program::succeed(&mut simulate);
    folder
}

/// Begins to take what is answered to a request, and takes no more of it.
fn begin(front: &Front, request: &str) -> TcpStream {
    let begun = Instant::now();
    loop {
        let mut stream = front.say(request);
        let head = head(&mut stream);
        if status(&head) == 200 {
            return stream;
        }
        // The recording is being looked at.
        assert!(matches!(status(&head), 404 | 409), "{head}");
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

const DOWNLOAD: &str = "/v1/recordings/big.dbn";
/// What ends an answer that is whole.
const END: &str = "\r\n0\r\n\r\n";

#[test]
fn what_the_denied_are_being_sent_is_broken_off() {
    let (recordings, lists) = (large_recording(), tempfile::TempDir::new().unwrap());
    let path = lists.path().join("denied");
    std::fs::write(&path, "").unwrap();
    let [recordings, denied] = [recordings.path(), &path].map(|path| path.display().to_string());
    let options = ["--deny-file", &denied, "--recordings", &recordings];
    let front = proxied(&options);
    let download = get(DOWNLOAD, front.address());
    let [mut denied, mut other] =
        ["203.0.113.7", "192.0.2.1"].map(|address| begin(&front, &from(address, &download)));
    // One who has been answered, and whose connection is kept.
    let kept = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", front.address());
    let mut idle = begin(&front, &from("203.0.113.8", &kept));
    std::fs::write(&path, "203.0.113.0/24\n").unwrap();
    let metric = |name: &str, label: &str| metric(&page(&front, "/metrics"), name, label);
    until(|| events(&front, "denied") == 2.0);
    assert!(!rest(&mut denied).ends_with(END), "it is not whole");
    assert_eq!(rest(&mut idle), "ok\n");
    assert!(rest(&mut other).ends_with(END), "it is whole");
    assert_eq!(metric("broadtape_gate_refused_total", "not_admitted"), 2.0);
    until(|| metric("broadtape_downloads_broken_total", "") == 1.0);

    // The same, where a header says for whom the proxy asks; the proxy itself stays.
    std::fs::write(&path, "").unwrap();
    let front = Front::start(&[&options[..], &["--trusted-proxies", "127.0.0.1"]].concat());
    let asked = |address: &str, path: &str| {
        let host = front.address();
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {address}\r\n\r\n")
    };
    let mut denied = begin(&front, &asked("203.0.113.7", DOWNLOAD));
    let mut other = begin(&front, &asked("192.0.2.1", "/healthz"));
    std::fs::write(&path, "203.0.113.0/24\n").unwrap();
    until(|| front.events("denied") == 1.0);
    assert!(!rest(&mut denied).ends_with(END), "it is not whole");
    std::io::Write::write_all(&mut other, asked("192.0.2.1", "/healthz").as_bytes()).unwrap();
    assert!(head(&mut other).contains("HTTP/1.1 200 OK\r\n"));
}
