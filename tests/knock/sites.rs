//! `Host` and `Origin`: DNS rebinding and other people's pages, through the front door.

use crate::front::{Front, get, head, status};

#[test]
fn on_loopback_a_name_of_ones_own_is_no_way_in() {
    let front = Front::start(&[]);
    let port = front.address().rsplit(':').next().unwrap();
    for path in ["/", "/healthz", "/metrics", "/v1/sessions", "/v1/last?symbols=A", "/nothing"] {
        for host in ["rebound.example", &format!("rebound.example:{port}"), "localhost"] {
            assert_eq!(status(&front.answer(get(path, host))), 421, "{host}{path}");
        }
    }
    for own in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(status(&front.answer(get("/healthz", &own))), 200, "{own}");
    }
    // Load balancers ask like this.
    assert_eq!(status(&front.answer("GET /healthz HTTP/1.0\r\n\r\n")), 200);
    assert_eq!(status(&front.answer("GET /healthz HTTP/1.1\r\n\r\n")), 400);
}

#[test]
fn listed_hosts_and_sites_may() {
    let front = Front::start(&[
        "--hosts=md.example.com",
        "--origins=https://app.example.com",
        "--origins=http://localhost:3000",
    ]);
    let handshake = |host: &str, origin: &str| {
        let mut stream = front.say(crate::front::handshake(host, &format!("Origin: {origin}\r\n")));
        status(&head(&mut stream))
    };
    let own = format!("http://{}", front.address());
    for (host, origin, expected) in [
        (front.address(), own.as_str(), 101),
        (front.address(), "https://app.example.com", 101),
        (front.address(), "http://localhost:3000", 101),
        ("md.example.com", "https://md.example.com", 101),
        ("md.example.com:8443", "https://md.example.com:8443", 101),
        ("md.example.com", "https://app.example.com", 101),
        ("md.example.com", own.as_str(), 403),
        (front.address(), "http://app.example.com", 403),
        (front.address(), "https://app.example.com:8443", 403),
        (front.address(), "null", 403),
        ("example.com", "https://example.com", 421),
    ] {
        assert_eq!(handshake(host, origin), expected, "{origin} at {host}");
    }
    let all = Front::start(&["--hosts=*", "--origins=*"]);
    let mut stream = all.say(crate::front::handshake("any.example", "Origin: null\r\n"));
    assert_eq!(status(&head(&mut stream)), 101);
}
