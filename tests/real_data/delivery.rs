//! One file, one client of each encoding: what arrives is the file, record by record.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, Encoding};
use crate::compare::assert_received;
use crate::program::recording;
use crate::{ORDERS, QUOTES, TRADES, both, for_each, oracle, replay};

/// Replays a file to one client of each encoding, until the server leaves, and compares.
fn deliver(path: &Path) {
    let what = path.display().to_string();
    let file = oracle::read(path);
    let server = replay(&[path], 2, &["--exit"]);
    let params = json!({"schema": file.schema.as_str(), "symbols": "*", "snapshot": false});
    let mut clients = both(&server, |client| drop(client.subscribe(params.clone())));
    for_each(&mut clients, |(client, ())| {
        let (code, closing) = client.until_closed();
        assert_eq!((code, &closing["reason"]), (CloseCode::Away, &json!("going_away")));
        assert_eq!(closing["seq"], client.seq.to_string(), "{closing}");
    });
    assert_eq!(server.wait().code(), Some(0), "{what}: the server's exit code");
    for (client, ()) in clients {
        assert_received(&client, &file.records, &what);
        assert_eq!(client.seq, file.records.len() as u64, "{what}: every record was looked at");
        assert!(client.flags.is_empty(), "{what}: {:?}", client.flags);
    }
}

#[test]
fn orders_arrive_as_recorded() {
    let Some(path) = recording(ORDERS) else { return };
    assert_eq!(oracle::read(&path).records.len(), 68_792);
    deliver(&path);
}

#[test]
fn quotes_and_trades_arrive_as_recorded() {
    let (Some(quotes), Some(trades)) = (recording(QUOTES), recording(TRADES)) else { return };
    deliver(&quotes);
    deliver(&trades);
}

#[test]
fn files_of_every_schema_and_version_arrive_as_recorded() {
    let Some(folder) = recording("dbn") else { return };
    let files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    let readable = |path: &&PathBuf| path.to_string_lossy().contains(".dbn");
    let files: Vec<&PathBuf> = files.iter().filter(readable).collect();
    assert!(files.len() > 60, "{} files", files.len());
    files.into_iter().for_each(|path| deliver(path));
}

#[test]
fn who_comes_late_gets_the_whole_file_from_the_ring() {
    let Some(path) = recording(QUOTES) else { return };
    let file = oracle::read(&path);
    let server = replay(&[&path], 1, &[]);
    let mut first = Client::connect(&server.address, Encoding::Dbn);
    first.subscribe(json!({"schema": "mbp-1", "symbols": "*"}));
    first.until_seq(file.records.len() as u64);
    for encoding in [Encoding::Dbn, Encoding::Json] {
        let mut late = Client::connect(&server.address, encoding);
        let from = json!({"epoch": late.epoch.to_string(), "seq": "0"});
        // Positions begin anew with what was before it came.
        late.seq = 0;
        late.subscribe(json!({"schema": "mbp-1", "symbols": ["ESU4"], "from": from}));
        let live = late.until("live");
        assert_eq!(live["records"], file.records.len().to_string());
        assert_received(&late, &file.records, "from the ring");
        assert_eq!(late.flags, ["catch_up"]);
    }
}
