//! The same behind nginx and HAProxy: no bad handshake gets through as a good one, a good one does,
//! and no request is answered as another.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::front::{Front, PATIENCE, answer, connect, get, handshake, head, rest, status};
use crate::handshakes::table;

/// The name that clients ask for.
const HOST: &str = "md.example.com";
/// What a server behind a proxy on this machine is told.
const BEHIND: [&str; 3] =
    ["--hosts=md.example.com", "--trusted-proxies=127.0.0.1", "--max-per-address=none"];

/// A proxy; ended when dropped.
struct Proxy {
    child: Child,
    address: String,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already, which is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts one with the configuration that `written` makes of folder, port and upstream; none
    /// where the program is not there. The port is free when it is chosen; where somebody else was
    /// faster, another one is.
    fn start(
        program: &str,
        args: fn(&Path) -> Vec<String>,
        written: impl Fn(&Path, u16) -> String,
    ) -> Option<Self> {
        if Command::new(program).arg("-v").output().is_err() {
            crate::program::skip(&format!("no {program}: tools/check.sh test installs it"));
            return None;
        }
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let folder = TempDir::new().unwrap();
            fs::write(folder.path().join("conf"), written(folder.path(), port)).unwrap();
            let mut command = Command::new(program);
            command.args(args(folder.path())).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().unwrap();
            let address = format!("127.0.0.1:{port}");
            let mut proxy = Self { child, address, _folder: folder };
            if proxy.listens() {
                return Some(proxy);
            }
        }
        panic!("{program} does not start");
    }

    /// Does it listen, before it ends?
    fn listens(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if std::net::TcpStream::connect(&self.address).is_ok() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        false
    }

    /// As deploy/README.md has it, with upstream connections that are kept.
    fn nginx(front: &Front) -> Option<Self> {
        let args = |folder: &Path| {
            let conf = folder.join("conf").display().to_string();
            ["-p", &folder.display().to_string(), "-c", &conf].map(str::to_owned).to_vec()
        };
        Self::start("nginx", args, |folder, port| {
            let (folder, upstream) = (folder.display(), front.address());
            format!(
                "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
                 events {{}}
                 http {{
                   access_log off;
                   client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
                   fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
                   scgi_temp_path {folder}/s;
                   map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
                   upstream tape {{ server {upstream}; keepalive 8; }}
                   server {{
                     listen 127.0.0.1:{port};
                     location / {{
                       proxy_pass http://tape; proxy_http_version 1.1; proxy_buffering off;
                       proxy_set_header Host $http_host;
                       proxy_set_header Upgrade $http_upgrade;
                       proxy_set_header Connection $connection_upgrade;
                       proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                     }}
                   }}
                 }}"
            )
        })
    }

    fn haproxy(front: &Front, mode: &str, more: &str, send: &str) -> Option<Self> {
        let args = |folder: &Path| {
            vec!["-db".to_owned(), "-f".to_owned(), folder.join("conf").display().to_string()]
        };
        Self::start("haproxy", args, |_, port| {
            format!(
                "defaults\n mode {mode}\n timeout connect 5s\n timeout client 10s\n \
                 timeout server 10s\n timeout tunnel 10s\n{more}\
                 listen tape\n bind 127.0.0.1:{port}\n server tape {}{send}\n",
                front.address()
            )
        })
    }
}

/// What HAProxy or nginx set right before they forward it, and a good handshake by then: spaces and
/// line ends, a folded line, two hosts that are the same, another version of HTTP.
const MENDED: [&str; 7] = [
    "HTTP/1.0",
    "HTTP/2.0",
    "two spaces",
    "Host twice",
    "a folded line",
    "a bare LF",
    "bare LFs only",
];

/// Never 101 for a bad one; 101 for a good one.
fn only_good_ones_get_through(proxy: &Proxy) {
    let mut through = Vec::new();
    for (name, request, _) in table(HOST) {
        // Proxies wait for a body that does not come: the client's end tells them.
        let mut stream = connect(&proxy.address);
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        if rest(&mut stream).contains("101 Switching") && !MENDED.contains(&name) {
            through.push(name);
        }
    }
    assert!(through.is_empty(), "{through:?}");
    let mut stream = connect(&proxy.address);
    stream.write_all(handshake(HOST, "").as_bytes()).unwrap();
    let said = head(&mut stream);
    assert_eq!(status(&said), 101, "{said}");
}

/// Requests that hide another one, each followed by others on connections that the proxy keeps.
fn no_request_is_answered_as_another(proxy: &Proxy) {
    let hidden = format!("GET /nothing/hidden HTTP/1.1\r\nHost: {HOST}\r\nX: ");
    let chunked = format!("0\r\n\r\n{hidden}");
    let attack = |headers: &str, body: &str| {
        format!("POST /healthz HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n{body}")
    };
    let length = chunked.len();
    let attacks = [
        attack(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), &chunked),
        attack(&format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), &chunked),
        attack(&format!("Content-Length: {length}\r\nTransfer-Encoding: xchunked\r\n"), &chunked),
        attack(&format!("Content-Length: {length}\r\nTransfer-Encoding : chunked\r\n"), &chunked),
        attack(&format!("Content-Length: {length}\r\nTransfer-Encoding:\x0bchunked\r\n"), &chunked),
        attack(
            &format!("Content-Length: {length}\r\nX: y\nTransfer-Encoding: chunked\r\n"),
            &chunked,
        ),
        attack(&format!("Content-Length: 0\r\nContent-Length: {}\r\n", hidden.len()), &hidden),
        attack(&format!("Content-Length: {}\r\n", hidden.len()), &hidden),
        attack("Content-Length: 0\r\n", &hidden),
        attack("Transfer-Encoding: chunked\r\n", &chunked),
        attack("Expect: 100-continue\r\nContent-Length: 4\r\n", "abcd"),
        // A failed upgrade: the proxy may think that it has a tunnel.
        format!("{}{hidden}", handshake(HOST, "").replace("Version: 13", "Version: 12")),
        format!("{}{hidden}", handshake(HOST, "").replace("/v1/stream", "/healthz")),
    ];
    for (n, attack) in attacks.iter().enumerate() {
        let mut stream = connect(&proxy.address);
        let _ = stream.write_all(attack.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let said = rest(&mut stream);
        assert!(!said.contains("101 Switching"), "{n}: {said}");
        for marker in 0..4 {
            let mark = format!("MARK{n}X{marker}");
            let asked = get(&format!("/v1/instruments?symbols={mark}"), HOST);
            let said = answer(&proxy.address, asked.as_bytes());
            assert!(status(&said) == 200 && said.contains(&mark), "{n}: {attack:?}: {said}");
        }
    }
}

#[test]
fn behind_nginx() {
    let front = Front::start(&BEHIND);
    let Some(proxy) = Proxy::nginx(&front) else { return };
    only_good_ones_get_through(&proxy);
    no_request_is_answered_as_another(&proxy);
}

#[test]
fn behind_haproxy() {
    let front = Front::start(&BEHIND);
    let Some(proxy) = Proxy::haproxy(&front, "http", " option forwardfor\n", "") else { return };
    only_good_ones_get_through(&proxy);
    no_request_is_answered_as_another(&proxy);
}

#[test]
fn behind_haproxy_that_sends_a_proxy_header() {
    let front = Front::start(&[&BEHIND[..], &["--proxy-protocol=from-trusted"]].concat());
    for send in [" send-proxy", " send-proxy-v2"] {
        let Some(proxy) = Proxy::haproxy(&front, "tcp", "", send) else { return };
        let mut stream = connect(&proxy.address);
        stream.write_all(handshake(HOST, "").as_bytes()).unwrap();
        assert_eq!(status(&head(&mut stream)), 101);
        let said = answer(&proxy.address, get("/v1/sessions", HOST).as_bytes());
        let peer = stream.local_addr().unwrap();
        assert!(said.contains(&format!("\"peer\":\"{peer}\",\"via\":\"127.0.0.1\"")), "{said}");
    }
}
