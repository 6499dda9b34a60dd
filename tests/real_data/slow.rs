//! A client that does not read, at full speed: the file waits for it, and nothing is lost.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, Encoding, whole};
use crate::compare::assert_received;
use crate::program::{Program, recording};
use crate::{ORDERS, QUOTES, oracle, replay};

/// A connection that takes little before it is read from.
fn narrow(address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Waits until the first session has unsent bytes and got none for several looks.
fn until_it_stands_still(server: &Program) -> u64 {
    let begun = Instant::now();
    let (mut before, mut same) = (0, 0);
    while same < 10 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never stands still");
        std::thread::sleep(Duration::from_millis(10));
        let sessions = server.get("/v1/sessions");
        let session = &sessions["sessions"][0];
        let stuck = whole(&session["queued_bytes"]) > 0;
        let records = whole(&session["records"]);
        same = if stuck && records == before { same + 1 } else { 0 };
        before = records;
    }
    before
}

#[test]
fn the_file_waits_for_a_client_that_does_not_read() {
    let Some(path) = recording(ORDERS) else { return };
    let records = oracle::read(&path).records;
    let server = replay(&[&path], 2, &["--queue", "128KiB"]);
    let params = json!({"schema": "mbo", "symbols": ["ESH4"], "snapshot": false});
    let mut slow = Client::over(narrow(&server.address), Encoding::Json);
    slow.subscribe(params.clone());
    let mut quick = Client::connect(&server.address, Encoding::Dbn);
    quick.subscribe(params);
    std::thread::scope(|scope| {
        scope.spawn(|| quick.until_seq(records.len() as u64));
        let framed = until_it_stands_still(&server);
        assert!(framed < records.len() as u64 / 2, "{framed} records were framed: it did not wait");
        slow.until_seq(records.len() as u64);
    });
    for client in [slow, quick] {
        assert_received(&client, &records, "at the pace of the slowest");
        assert!(client.flags.is_empty() && !client.said("lagging"), "{:?}", client.encoding);
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_client_that_does_not_read() {
    let Some(path) = recording(QUOTES) else { return };
    // A queue that holds the whole file, so that it ends while a client has yet to get it.
    let server = replay(&[&path], 1, &["--queue", "16MiB", "--exit"]);
    let mut slow = Client::over(narrow(&server.address), Encoding::Json);
    slow.subscribe(json!({"schema": "mbp-1", "symbols": "*", "snapshot": false}));
    assert_eq!(until_it_stands_still(&server), 2_288, "the file has been played");
    server.terminate();
    let (code, closing) = slow.until_closed();
    assert_eq!((code, &closing["reason"]), (CloseCode::Restart, &json!("drain")));
    assert!(slow.records < 2_288, "all came: it was the end and not the signal");
    assert_eq!(server.wait().code(), Some(0));
}
