//! Peers that are gone without a word: no FIN, no RST, no bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use crate::raw::Raw;
use crate::server::Server;
use crate::witness::Witness;

/// Stands between clients and a server, and forwards until it is cut.
struct Wire {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Wire {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (target, flags) = (server.address().to_owned(), (cut.clone(), over.clone()));
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || forward(&listener, &target, &flags.0, &flags.1));
        Self { address, cut, over }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
    }
}

/// Both ends of each connection stay open until it is over, but nothing passes once it is cut.
fn forward(listener: &TcpListener, target: &str, cut: &AtomicBool, over: &AtomicBool) {
    let (mut pairs, mut buffer) = (Vec::<(TcpStream, TcpStream)>::new(), vec![0; 64 << 10]);
    while !over.load(SeqCst) {
        if let Ok((ours, _)) = listener.accept() {
            let theirs = TcpStream::connect(target).unwrap();
            ours.set_nonblocking(true).unwrap();
            theirs.set_nonblocking(true).unwrap();
            pairs.push((ours, theirs));
        }
        let open = !cut.load(SeqCst);
        for (ours, theirs) in pairs.iter_mut().filter(|_| open) {
            pass(ours, theirs, &mut buffer);
            pass(theirs, ours, &mut buffer);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, buffer: &mut [u8]) {
    match from.read(buffer) {
        Ok(count) => to.write_all(&buffer[..count]).unwrap(),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
}

#[test]
fn who_is_gone_without_a_word_is_let_go() {
    let server = Server::start(&["--ping", "500ms", "--pong-timeout", "2s"]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let wire = Wire::to(&server);
    let mut gone: Vec<Raw> = (0..50)
        .map(|n| {
            let stream = TcpStream::connect(wire.address).unwrap();
            stream.set_read_timeout(Some(crate::server::PATIENCE)).unwrap();
            let mut raw = Raw::shake_hands(stream, "json", b"");
            // Half of them are owed records, which nobody acknowledges.
            if n % 2 == 0 {
                crate::crowd::subscribe(&mut raw);
            }
            raw
        })
        .collect();
    wire.cut.store(true, SeqCst);
    let closed = |server: &Server| server.metric("broadtape_closes_total", "no_pong");
    server.wait_until("they are missed", |server| closed(server) == 50.0);
    server.wait_for_quiet(1, before);
    let trades = witness.lost_nothing();
    println!("50 peers gone without a word: 50 let go (4001), a witness lost 0 of {trades}");
    gone.clear();
}
