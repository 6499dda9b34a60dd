//! Handshakes: the right certificate for each name, whoever is let in and whoever is not, and what
//! is no TLS at all. Each that fails is counted with its reason.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use serde_json::json;
use tempfile::TempDir;

use crate::authority::{Authority, write};
use crate::program::secure;
use crate::server::{BOTH, PATIENCE, Server, rest};

const FAILURES: &str = "broadtape_tls_failures_total";
const HANDSHAKES: &str = "broadtape_tls_handshakes_total";

/// A TLS alert: fatal, and what it says.
const ALERT: u8 = 21;
const PROTOCOL_VERSION: u8 = 70;
const HANDSHAKE_FAILURE: u8 = 40;

#[test]
fn both_versions_are_spoken_and_counted() {
    let server = Server::start(&[]);
    for (version, name) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
        let stream = server.connect(server.authority.client(&[version], None)).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert!(server.metric(HANDSHAKES, &format!("version=\"{name}\"")) >= 1);
    }
}

/// A ClientHello as of TLS 1.0 and 1.1: no extension offers a newer version.
fn old_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    // No session; TLS_RSA_WITH_AES_128_CBC_SHA and its ECDHE sibling; no compression.
    hello.extend([0, 0, 4, 0x00, 0x2f, 0xc0, 0x13, 1, 0]);
    let mut handshake = vec![1, 0, 0, hello.len() as u8];
    handshake.extend(hello);
    let mut record = vec![22, 3, 1, 0, handshake.len() as u8];
    record.extend(handshake);
    record
}

#[test]
fn older_versions_are_refused() {
    let server = Server::start(&[]);
    for minor in [0, 1, 2] {
        let mut stream = server.tcp();
        stream.write_all(&old_hello(minor)).unwrap();
        let answer = rest(&mut stream);
        assert_eq!(answer.first(), Some(&ALERT), "3.{minor}: {answer:?}");
        let why = answer.last();
        assert!(why == Some(&PROTOCOL_VERSION) || why == Some(&HANDSHAKE_FAILURE), "{answer:?}");
    }
    server.wait_for(FAILURES, "incompatible", 3);
}

#[test]
fn who_speaks_plain_http_gets_no_answer_and_is_counted() {
    let server = Server::start(&[]);
    let mut stream = server.tcp();
    stream.write_all(server.request("/healthz").as_bytes()).unwrap();
    let answer = rest(&mut stream);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    server.wait_for(FAILURES, "not_tls", 1);
    server.wait_for("broadtape_gate_refused_total", "tls_failed", 1);
}

#[test]
fn a_client_that_does_not_trust_it_is_counted() {
    let server = Server::start(&[]);
    let strangers = Authority::new("another").client(BOTH, None);
    assert!(server.connect(strangers).is_err());
    server.wait_for(FAILURES, "refused_by_client", 1);
}

#[test]
fn each_name_gets_its_certificate() {
    let authority = Authority::new("tests");
    let named = [
        authority.issue(&["a.example"]),
        authority.issue(&["*.b.example"]),
        authority.issue_as(&["a.example"], &rcgen::PKCS_RSA_SHA256),
    ];
    let server = Server::start_with(
        authority,
        |folder| {
            let files = named.iter().enumerate().flat_map(|(n, identity)| {
                let [certificate, key] = identity.write(folder.path(), &n.to_string());
                ["--tls-cert".to_owned(), certificate, "--tls-key".to_owned(), key]
            });
            files.collect()
        },
        &[],
    );
    for (name, expected) in [
        ("a.example", &named[0]),
        ("x.b.example", &named[1]),
        ("localhost", &server.identity),
        ("nobody.example", &server.identity),
    ] {
        let name = ServerName::try_from(name).unwrap();
        let session = ClientConnection::new(secure::trusting(), name.clone()).unwrap();
        let mut stream = StreamOwned::new(session, server.tcp());
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let shown = &stream.conn.peer_certificates().unwrap()[0];
        assert_eq!(*shown, expected.der(), "{name:?}");
    }
}

#[test]
fn with_a_client_authority_only_its_own_come_in() {
    let clients = Authority::new("clients");
    let (known, strange) = (clients.issue(&["somebody"]), Authority::new("x").issue(&["else"]));
    let server = mutual(&clients);
    let as_known = server.authority.client(BOTH, Some(&known));
    for identity in [None, Some(&strange)] {
        // In TLS 1.3 a client learns of it only when it reads.
        let refused = server.connect(server.authority.client(BOTH, identity)).and_then(|mut s| {
            s.write_all(server.request("/healthz").as_bytes())?;
            s.read(&mut [0; 1])
        });
        assert!(refused.is_err(), "{refused:?}");
    }
    let failed =
        |server: &Server| server.metric_as(as_known.clone(), FAILURES, "client_certificate");
    server.wait_until("both are counted", |server| failed(server) == 2);
}

/// Shows a chain with a key, whether or not they belong together.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesClientCert for Impostor {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A client of this version that shows these certificates with this key (PEM).
fn showing(
    server: &Server,
    version: &'static SupportedProtocolVersion,
    chain: Vec<CertificateDer<'static>>,
    key: &str,
) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = default_provider().key_provider.load_private_key(key).unwrap();
    let mut config = ClientConfig::clone(&server.authority.client(&[version], None));
    config.client_auth_cert_resolver = Arc::new(Impostor(Arc::new(CertifiedKey::new(chain, key))));
    Arc::new(config)
}

/// A server that lets in those of an authority alone.
fn mutual(clients: &Authority) -> Server {
    let authority = |folder: &TempDir| {
        let path = write(folder.path(), "clients.crt", &clients.pem);
        vec!["--tls-client-ca".to_owned(), path]
    };
    Server::start_with(Authority::new("tests"), authority, &[])
}

/// Asks once as this client: the first byte of an answer, and whether a session was resumed.
fn ask(server: &Server, config: &Arc<ClientConfig>) -> std::io::Result<(u8, bool)> {
    let mut stream = server.connect(config.clone())?;
    stream.write_all(server.request("/healthz").as_bytes())?;
    let mut page = [0; 1];
    stream.read_exact(&mut page)?;
    let mut rest = Vec::new();
    // Tickets of TLS 1.3 come behind the handshake.
    stream.read_to_end(&mut rest)?;
    Ok((page[0], stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)))
}

#[test]
fn who_shows_a_certificate_shows_it_each_time() {
    let clients = Authority::new("clients");
    let known = clients.issue(&["somebody"]);
    let (mutual, open) = (mutual(&clients), Server::start(&[]));
    for version in [&TLS12, &TLS13] {
        let client = mutual.authority.client(&[version], Some(&known));
        for _ in 0..3 {
            // By a ticket it would come in when the certificate has expired, too.
            assert_eq!(ask(&mutual, &client).unwrap(), (b'H', false), "{version:?}");
        }
        let client = open.authority.client(&[version], None);
        ask(&open, &client).unwrap();
        assert_eq!(ask(&open, &client).unwrap(), (b'H', true), "{version:?}");
    }
}

#[test]
fn a_certificate_without_its_key_lets_nobody_in() {
    let clients = Authority::new("clients");
    let (known, other) = (clients.issue(&["somebody"]), clients.issue(&["other"]));
    let server = mutual(&clients);
    for version in [&TLS12, &TLS13] {
        let impostor = showing(&server, version, vec![known.der()], &other.key);
        let refused = ask(&server, &impostor);
        assert!(refused.is_err(), "{version:?}: {refused:?}");
    }
}

#[test]
fn a_chain_of_certificates_has_a_bounded_length() {
    let clients = Authority::new("clients");
    let known = clients.issue(&["somebody"]);
    let server = mutual(&clients);
    let as_one_of = |count: usize, version| {
        ask(&server, &showing(&server, version, vec![known.der(); count], &known.key))
    };
    for version in [&TLS12, &TLS13] {
        assert_eq!(as_one_of(6, version).unwrap(), (b'H', false));
        // The last one is longer than a handshake's message may be.
        for count in [7, 400] {
            let refused = as_one_of(count, version);
            assert!(refused.is_err(), "{version:?}, {count}: {refused:?}");
        }
    }
    let as_known = server.authority.client(BOTH, Some(&known));
    let failed = |label: &str| server.metric_as(as_known.clone(), FAILURES, label);
    server.wait_until("all are counted", |_| failed("") == 4);
    assert_eq!((failed("client_certificate"), failed("not_tls")), (2, 0));
}

#[test]
fn a_hello_that_does_not_end_is_cut_off_in_time() {
    let server = Server::start(&["--handshake-timeout", "500ms"]);
    let mut session = secure::session(server.trusting());
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let (mut stream, begun) = (server.tcp(), Instant::now());
    for byte in &hello[..hello.len() - 1] {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    rest(&mut stream);
    assert!(begun.elapsed() < PATIENCE);
    server.wait_for(FAILURES, "timeout", 1);
    server.wait_for("broadtape_gate_refused_total", "handshake_timeout", 1);
}

#[test]
fn after_tls_the_request_has_what_is_left_of_the_time() {
    let server = Server::start(&["--handshake-timeout", "1s"]);
    let mut silent = server.connect(server.trusting()).unwrap();
    // Nothing is asked: it ends.
    let end = silent.read(&mut [0; 16]);
    assert!(matches!(&end, Ok(0)) || end.is_err_and(|e| e.kind() == ErrorKind::UnexpectedEof));
    server.wait_for("broadtape_gate_refused_total", "handshake_timeout", 1);
}

#[tokio::test]
async fn a_flood_of_garbage_disturbs_no_stream() {
    let server = Arc::new(Server::start(&["--heartbeat", "100ms"]));
    let mut client = server.client(server.trusting()).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    let flood = server.clone();
    let flood = tokio::task::spawn_blocking(move || {
        for n in 0..2_000_u32 {
            let mut stream = flood.tcp();
            let mut garbage: Vec<u8> = (0..600).map(|i| (n.wrapping_mul(31) + i) as u8).collect();
            if n % 2 == 0 {
                // What looks like the head of a ClientHello.
                garbage[..5].copy_from_slice(&[22, 3, 1, 2, 0]);
            }
            // It may have been refused before all of it was sent.
            let _ = stream.write_all(&garbage);
            if n % 3 > 0 {
                rest(&mut stream);
            }
        }
    });
    while !flood.is_finished() {
        client.batch().await;
    }
    flood.await.unwrap();
    client.heartbeat().await;
    assert!(client.ledger.heartbeats > 0 && client.ledger.records > 0);
    tokio::task::spawn_blocking(move || server.wait_for(FAILURES, "", 1_900)).await.unwrap();
}
