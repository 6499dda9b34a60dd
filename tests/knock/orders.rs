//! The operator's own listener: what it has, what everybody has no more, and who may give orders.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::front::{PATIENCE, answer, connect, get, handshake, head, metric, status};
use crate::program::broadtape;

/// A server with an operator's listener; ended when dropped.
struct Administered {
    child: Child,
    public: String,
    admin: String,
}

impl Drop for Administered {
    fn drop(&mut self) {
        // It may have ended already, which is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Administered {
    fn start(args: &[&str]) -> Self {
        let mut command = broadtape();
        command.args(["serve", "--scenario", "metronome", "--rate", "10", "--symbols", "3"]);
        command.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log=error"]);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |prefix: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(prefix).unwrap_or_else(|| panic!("{line:?}")).to_owned()
        };
        let (public, admin) = (after("listening on http://"), after("operators on http://"));
        Self { child, public, admin }
    }

    /// An order with these headers.
    fn order(&self, path: &str, headers: &str) -> String {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.admin
        );
        answer(&self.admin, request.as_bytes())
    }

    /// An order that is meant.
    fn meant(&self, path: &str) -> String {
        self.order(path, "X-Broadtape-Order: 1\r\n")
    }

    fn page(&self, path: &str) -> String {
        answer(&self.admin, get(path, &self.admin).as_bytes())
    }

    fn stream(&self) -> TcpStream {
        let mut stream = connect(&self.public);
        std::io::Write::write_all(&mut stream, handshake(&self.public, "").as_bytes()).unwrap();
        assert_eq!(status(&head(&mut stream)), 101);
        stream
    }

    /// Waits until a metric is so much.
    fn until(&self, name: &str, label: &str, value: f64) {
        let begun = Instant::now();
        while metric(&self.page("/metrics"), name, label) != value {
            assert!(begun.elapsed() < PATIENCE, "{name}{label} is not {value}");
        }
    }
}

#[test]
fn what_is_the_operators_is_nobody_elses() {
    let server = Administered::start(&[]);
    let public = |path: &str| status(&answer(&server.public, get(path, &server.public).as_bytes()));
    for path in ["/metrics", "/v1/sessions", "/v1/drain", "/v1/reload"] {
        assert_eq!(public(path), 404, "{path}");
    }
    for path in ["/", "/healthz", "/readyz", "/v1/status", "/v1/instruments"] {
        assert_eq!(public(path), 200, "{path}");
    }
    for path in ["/metrics", "/v1/sessions", "/healthz", "/readyz", "/v1/status"] {
        assert_eq!(status(&server.page(path)), 200, "{path}");
    }
    // No page for browsers, no stream.
    assert_eq!(status(&server.page("/")), 404);
    let shaken = answer(&server.admin, handshake(&server.admin, "").as_bytes());
    assert_eq!(status(&shaken), 404, "{shaken}");
    let rebound = answer(&server.admin, get("/metrics", "rebound.example").as_bytes());
    assert_eq!(status(&rebound), 421);
    let both = Administered::start(&["--public-metrics=true"]);
    assert_eq!(status(&answer(&both.public, get("/metrics", &both.public).as_bytes())), 200);
}

#[test]
fn an_order_is_one_that_is_meant() {
    let server = Administered::start(&[]);
    let order = |headers: &str| status(&server.order("/v1/reload", headers));
    let meant = "X-Broadtape-Order: 1\r\n";
    for (headers, expected) in [
        ("", 403),
        ("Content-Type: text/plain\r\n", 403),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n", 403),
        ("X-Broadtape-Order: 1\r\nOrigin: https://evil.example\r\n", 403),
        ("X-Broadtape-Order: 1\r\nOrigin: null\r\n", 403),
        ("X-Broadtape-Order: 1\r\nSec-Fetch-Site: cross-site\r\n", 403),
        ("X-Broadtape-Order: 1\r\nSec-Fetch-Site: same-site\r\n", 403),
        (meant, 200),
        ("Content-Type: application/json; charset=utf-8\r\n", 200),
        ("Content-Type: application/json\r\nContent-Length: 2\r\n", 200),
    ] {
        assert_eq!(order(headers), expected, "{headers}");
    }
    let host = &server.admin;
    let asked = |method: &str, path: &str| {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{meant}\r\n");
        answer(&server.admin, request.as_bytes())
    };
    let asked_for = asked("GET", "/v1/drain");
    assert_eq!(status(&asked_for), 405);
    assert!(asked_for.to_lowercase().contains("\r\nallow: post\r\n"), "{asked_for}");
    let preflight = asked("OPTIONS", "/v1/drain");
    assert_eq!(status(&preflight), 405);
    assert!(!preflight.to_lowercase().contains("access-control"), "{preflight}");
    assert_eq!(status(&asked("POST", "/v1/sessions/x/disconnect")), 404);
    assert_eq!(status(&asked("POST", "/v1/sessions/99/disconnect")), 404);
    server.until("broadtape_security_events_total", "{event=\"order_refused\"}", 7.0);
}

#[test]
fn what_takes_no_parameters_is_not_done_with_some() {
    let server = Administered::start(&["--shards=1"]);
    let _stream = server.stream();
    for order in ["/v1/drain", "/v1/reload", "/v1/sessions/1/disconnect"] {
        for (query, says) in [
            ("after=5s", "unknown parameter \\\"after\\\": this page takes none"),
            ("session=2&force", "unknown parameter \\\"session\\\""),
            ("%zz", "is not percent-encoded UTF-8"),
        ] {
            let said = server.meant(&format!("{order}?{query}"));
            assert_eq!(status(&said), 400, "{order}?{query}: {said}");
            assert!(said.contains(says) && said.contains("bad_params"), "{said}");
        }
    }
    for page in ["/metrics", "/healthz", "/readyz", "/v1/status", "/v1/latency", "/v1/recordings"] {
        assert_eq!(status(&server.page(&format!("{page}?x=1"))), 400, "{page}");
    }
    assert_eq!(status(&server.page("/v1/sessions?limits=1")), 400);
    assert_eq!(status(&server.page("/readyz")), 200, "nothing was obeyed");
    server.until("broadtape_security_events_total", "{event=\"order_refused\"}", 9.0);
}

#[test]
fn a_session_is_ended_by_its_number() {
    let server = Administered::start(&["--shards=2"]);
    let (mut first, _second) = (server.stream(), server.stream());
    let said = server.meant("/v1/sessions/1/disconnect");
    assert!(said.contains("\"disconnected\":true") && said.contains("\"session\":\"1\""), "{said}");
    let mut bytes = Vec::new();
    first.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("\"code\":4012") && text.contains("disconnected"), "{text}");
    server.until("broadtape_closes_total", "reason=\"disconnected\"", 1.0);
    let listed = server.page("/v1/sessions");
    let body: Value = serde_json::from_str(listed.split_once("\r\n\r\n").unwrap().1).unwrap();
    let sessions = body["sessions"].as_array().unwrap();
    assert!(
        sessions.iter().all(|one| one["session"] != "1" || one["state"] == "closing"),
        "{body}"
    );
}

#[test]
fn a_drain_by_order_is_a_drain() {
    let mut server = Administered::start(&["--drain=5s"]);
    let mut stream = server.stream();
    assert!(server.meant("/v1/drain").contains("\"draining\":true"));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("\"code\":1012"));
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn the_denied_are_read_again_by_order_and_a_broken_file_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("denied");
    let write = |text: &str| fs::write(&path, text).unwrap();
    write("# nobody\n");
    let server = Administered::start(&[&format!("--deny-file={}", path.display())]);
    let answered = || status(&answer(&server.public, get("/healthz", &server.public).as_bytes()));
    let becomes = |expected: u16| {
        let begun = Instant::now();
        while answered() != expected {
            assert!(begun.elapsed() < PATIENCE, "{expected} is expected");
        }
    };
    assert_eq!(answered(), 200);
    write("203.0.113.0/24\n127.0.0.0/8 # this machine\n");
    assert_eq!(status(&server.meant("/v1/reload")), 200);
    becomes(0);
    write("nonsense\n");
    assert_eq!(status(&server.meant("/v1/reload")), 200);
    // Orders are taken one after the other: when this one is answered, the signal was taken.
    assert_eq!(status(&server.meant("/v1/reload")), 200);
    assert_eq!(answered(), 0);
    write("");
    server.meant("/v1/reload");
    becomes(200);
}

#[test]
fn a_listener_for_operators_stays_on_loopback() {
    let refused = |args: &[&str]| {
        let output = broadtape().arg("serve").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&["--admin-listen=0.0.0.0:0"]);
    assert!(said.contains("beyond loopback"), "{said}");
    assert!(refused(&["--admin-listen=9090"]).contains("127.0.0.1:9090"));
    let output = broadtape()
        .args(["serve", "--listen=127.0.0.1:0", "--deny-file=/none/here"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--deny-file /none/here"), "{said}");
}
