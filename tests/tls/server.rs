//! A server with a certificate of a test's own authority, and what a test does to it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;

use crate::authority::{Authority, Identity};
use crate::client::{Client, Duplex};
use crate::program::{Program, secure};

/// How long anything that has to come may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Both versions.
pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
/// The names of a server here.
pub(crate) const HERE: &[&str] = &["localhost", "127.0.0.1"];

/// A connection of a client that does as it is told.
pub(crate) type Secure = StreamOwned<ClientConnection, TcpStream>;

pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) authority: Authority,
    pub(crate) identity: Identity,
    pub(crate) folder: TempDir,
}

impl Server {
    /// A metronome of 2,000 trades a second, with a certificate, and what `args` say.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(Authority::new("tests"), |_| Vec::new(), args)
    }

    /// The same, with arguments that need the authority's files.
    pub(crate) fn start_with(
        authority: Authority,
        more: impl FnOnce(&TempDir) -> Vec<String>,
        args: &[&str],
    ) -> Self {
        let (folder, identity) = (TempDir::new().unwrap(), authority.issue(HERE));
        let [certificate, key] = identity.write(folder.path(), "server");
        let more = more(&folder);
        let mut all = vec!["serve", "--log", "off"];
        for pair in [["--scenario", "metronome"], ["--rate", "2000"]] {
            all.extend(pair.iter().filter(|_| !args.contains(&pair[0])));
        }
        all.extend(["--tls-cert", &certificate, "--tls-key", &key]);
        all.extend(more.iter().map(String::as_str));
        all.extend(args);
        let program = Program::start(&all);
        assert!(program.encrypted);
        Self { program, authority, identity, folder }
    }

    /// A client that trusts its authority.
    pub(crate) fn trusting(&self) -> Arc<ClientConfig> {
        self.authority.client(BOTH, None)
    }

    pub(crate) fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.program.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection whose handshake is done.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn connect(&self, config: Arc<ClientConfig>) -> std::io::Result<Secure> {
        let mut stream = StreamOwned::new(secure::session(config), self.tcp());
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// The certificate that a connection is shown.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect(secure::trusting()).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone()
    }

    /// A client of the stream.
    pub(crate) async fn client(&self, config: Arc<ClientConfig>) -> Client {
        let stream = tokio::net::TcpStream::connect(&self.program.address).await.unwrap();
        self.client_over(stream, config).await
    }

    pub(crate) async fn client_over(
        &self,
        stream: tokio::net::TcpStream,
        config: Arc<ClientConfig>,
    ) -> Client {
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector.connect(secure::localhost(), stream).await.unwrap();
        let stream: Box<dyn Duplex> = Box::new(stream);
        Client::over(stream, &self.program, "dbn").await.0
    }

    /// The sum of a metric over its labels, of those lines that contain `label`. Where the server
    /// wants to know who asks, `config` says so.
    pub(crate) fn metric_as(&self, config: Arc<ClientConfig>, name: &str, label: &str) -> u64 {
        let mut stream = self.connect(config).unwrap();
        stream.write_all(self.request("/metrics").as_bytes()).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// The head of a request that is the last of its connection.
    pub(crate) fn request(&self, path: &str) -> String {
        let host = &self.program.address;
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
    }

    /// The head of a WebSocket handshake.
    pub(crate) fn upgrade(&self, path: &str) -> String {
        let host = &self.program.address;
        format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }

    pub(crate) fn metric(&self, name: &str, label: &str) -> u64 {
        self.metric_as(self.trusting(), name, label)
    }

    /// Waits until a metric has come to this.
    pub(crate) fn wait_for(&self, name: &str, label: &str, least: u64) {
        self.wait_until(name, |server| server.metric(name, label) >= least);
    }

    /// Waits until `done` holds.
    pub(crate) fn wait_until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// All that comes until the server ends the connection, however it does.
pub(crate) fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("the server neither answers nor ends: {error}"),
        }
    }
}
