//! The keys of TLS 1.2, which can't be renewed, are used up: the client is told to come again.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream,
    SupportedProtocolVersion,
};

use super::received::{Item, items};
use super::world::World;
use crate::shard::access::Entry;
use crate::socket::tls::Session;
use crate::wire::encoding::Encoding;
use crate::wire::record::Schema;

const PATIENCE: Duration = Duration::from_secs(60);

/// Both ends of a session, whose handshake is done.
fn sessions(
    ours: &TcpStream,
    theirs: &TcpStream,
    version: &'static SupportedProtocolVersion,
) -> (ServerConnection, ClientConnection) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    std::thread::scope(|scope| {
        let (mut ours, mut theirs) = (ours, theirs);
        let shaken = scope.spawn(move || {
            client.complete_io(&mut theirs).unwrap();
            client
        });
        server.complete_io(&mut ours).unwrap();
        (server, shaken.join().unwrap())
    })
}

/// A client that comes over TLS, once its keys may encrypt three records more; what it is sent in
/// ten turns with a record each.
fn told(version: &'static SupportedProtocolVersion) -> Vec<Item> {
    let mut world = World::new();
    let mut end = None;
    let peer = world.attach_over(Encoding::Json, Entry::Open, |ours, theirs| {
        let (server, client) = sessions(ours, theirs, version);
        end = Some((client, theirs.try_clone().unwrap()));
        let mut session = Session::new(server);
        session.wear_to(3);
        Some(Box::new(session))
    });
    let wish = r#"{"schema":"trades","symbols":"*","snapshot":false}"#;
    let text = format!(r#"{{"id":1,"method":"subscribe","params":{wish}}}"#);
    assert!(world.request(&peer, &text));
    for _ in 0..10 {
        world.commit(&[(Schema::Trades, 0)]);
        world.turn();
    }
    let (mut client, mut stream) = end.unwrap();
    if let Some(token) =
        world.token(&peer).filter(|t| !world.shard.connections[*t as usize].is_closing())
    {
        world.shard.client_closes(token, Some(1000), world.now);
        world.turn();
        world.turn();
    }
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    // The end is said by TLS as well, else this is an error.
    Stream::new(&mut client, &mut stream).read_to_end(&mut bytes).unwrap();
    items(&bytes, true)
}

#[test]
fn who_has_used_up_its_keys_is_told_to_come_again() {
    let told = told(&TLS12);
    let [.., Item::Text(closing), Item::Close(code)] = &told[..] else {
        panic!("it is not closed")
    };
    assert_eq!(
        (*code, &closing["code"], &closing["reason"]),
        (4002, &4002.into(), &"tls_keys".into())
    );
    assert!(closing["reconnect_after_ms"].is_u64(), "it may come again: {closing}");
    let data = told.iter().filter(|item| matches!(item, Item::Data { .. })).count();
    assert!(data < 10, "it was closed at once");
}

#[test]
fn keys_that_are_renewed_are_not_used_up() {
    let told = told(&TLS13);
    assert!(matches!(told.last(), Some(Item::Close(1000))));
    let records = told.iter().map(|item| match item {
        Item::Data { records, .. } => records.len(),
        _ => 0,
    });
    assert_eq!(records.sum::<usize>(), 10);
}
