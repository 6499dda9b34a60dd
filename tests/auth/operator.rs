//! The operator's listener beyond loopback: nothing but health without a token that gives `admin`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::client::PATIENCE;
use crate::program::{broadtape, secure};
use crate::world::{World, all, now};

/// A server whose operator's listener is on every address; ended when dropped.
struct Exposed {
    child: Child,
    scheme: String,
    /// Where it is reached from this machine.
    admin: String,
}

impl Drop for Exposed {
    fn drop(&mut self) {
        // It may have ended already, which is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exposed {
    fn start(world: &World, args: &[&str]) -> Self {
        let mut command = broadtape();
        command.args(["serve", "--rate=10", "--symbols=3", "--listen=127.0.0.1:0", "--log=error"]);
        command.args(["--admin-listen=0.0.0.0:0", "--auth-keys"]).arg(world.path("keys.toml"));
        command.arg("--revoked").arg(world.path("revoked")).args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.map(Result::unwrap).find(|line| line.starts_with("operators on "));
        let line = line.unwrap();
        let (scheme, address) = line["operators on ".len()..].split_once("://").unwrap();
        let admin = address.replace("0.0.0.0", "127.0.0.1");
        Self { child, scheme: scheme.to_owned(), admin }
    }

    /// The answer to a request with this token.
    fn ask(&self, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut tls = (self.scheme == "https").then(|| secure::session(secure::trusting()));
        let mut stream = secure::over(&mut stream, tls.as_mut());
        let bearer = token.map(|t| format!("authorization: Bearer {t}\r\n")).unwrap_or_default();
        let host = &self.admin;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             x-broadtape-order: 1\r\n{bearer}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

#[test]
fn beyond_loopback_an_operator_shows_a_token_that_gives_admin() {
    let world = World::without_server();
    for args in [&["--insecure"][..], &["--tls-self-signed"]] {
        let mut server = Exposed::start(&world, args);
        assert_eq!(server.scheme == "https", args[0] != "--insecure");
        let admin = world.token("root", json!({"admin": true}));
        let client = world.token("alice", all());
        let over = world.token_until("root", json!({"admin": true}), now() - 600);
        let pages = ["/metrics", "/v1/sessions", "/v1/status", "/v1/recordings", "/v1/nothing"];
        let orders = ["/v1/reload", "/v1/sessions/1/disconnect", "/v1/drain"];
        let all = pages.map(|path| ("GET", path)).into_iter().chain(orders.map(|o| ("POST", o)));
        for (method, path) in all {
            let (status, body) = server.ask(method, path, None);
            assert!(status == 401 && body.contains("not_authenticated"), "{path}: {body}");
            let (status, body) = server.ask(method, path, Some(&client));
            assert!(status == 403 && body.contains("not_entitled"), "{path}: {body}");
            for wrong in [&over, "bt_x_y"] {
                assert_eq!(server.ask(method, path, Some(wrong)).0, 401, "{path}");
            }
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(server.ask("GET", path, None).0, 200, "{path}");
        }
        let (status, metrics) = server.ask("GET", "/metrics", Some(&admin));
        assert_eq!(status, 200);
        for (event, count) in [("no_operator", 16), ("auth_failed", 16), ("order", 0)] {
            let line = format!("broadtape_security_events_total{{event=\"{event}\"}} {count}");
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        assert_eq!(server.ask("GET", "/v1/sessions", Some(&admin)).0, 200);
        assert_eq!(server.ask("POST", "/v1/sessions/9/disconnect", Some(&admin)).0, 404);
        assert!(server.child.try_wait().unwrap().is_none(), "nobody has ended it");
        assert_eq!(server.ask("POST", "/v1/drain", Some(&admin)).0, 200);
        assert!(server.child.wait().unwrap().success());
    }
}

#[test]
fn the_operators_revoked_token_gives_nothing_more() {
    let world = World::without_server();
    let server = Exposed::start(&world, &["--insecure"]);
    let admin = world.token("root", json!({"admin": true}));
    assert_eq!(server.ask("GET", "/v1/sessions", Some(&admin)).0, 200);
    world.write("revoked", "sub root\n");
    let begun = std::time::Instant::now();
    while server.ask("GET", "/v1/sessions", Some(&admin)).0 != 401 {
        assert!(begun.elapsed() < PATIENCE, "it is revoked");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn beyond_loopback_it_needs_keys_and_encryption() {
    let world = World::without_server();
    let keys = world.path("keys.toml");
    let keys = ["--auth-keys", keys.to_str().unwrap()];
    for (args, says) in [
        (&["--insecure"][..], "need a token that gives admin"),
        (&["--tls-self-signed"], "need a token that gives admin"),
        (&keys, "it needs tls_cert and tls_key"),
    ] {
        let mut command = broadtape();
        command.args(["serve", "--listen=127.0.0.1:0", "--admin-listen=[::]:0"]).args(args);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains("admin_listen") || told.contains("admin-listen"), "{told}");
        assert!(told.contains(says), "{told}");
    }
}
