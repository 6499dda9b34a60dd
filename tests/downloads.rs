//! Recordings as files over HTTP: whole or in part, plain or compressed, each record as it was; and
//! what becomes of clients that do not take them.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use dbn::decode::{DbnMetadata, DecodeRecordRef, DynDecoder};
use dbn::{Metadata, VersionUpgradePolicy};
use program::{Program, broadtape, python, recording, succeed};
use tempfile::TempDir;

/// What a request is answered with.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

fn ask(server: &Program, method: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let host = &server.address;
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn get(server: &Program, path: &str) -> Answer {
    let mut all = Vec::new();
    ask(server, "GET", path).read_to_end(&mut all).unwrap();
    let at = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..at].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    let chunked = head.contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(&all[at + 4..]) } else { all[at + 4..].to_vec() };
    Answer { status, head, body }
}

/// The chunks put together; they have to end as they should.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let at = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        let (chunk, after) = rest[at + 2..].split_at(size);
        assert_eq!(&after[..2], b"\r\n");
        body.extend_from_slice(chunk);
        rest = &after[2..];
        if size == 0 {
            return body;
        }
    }
}

/// What the official reader finds: the metadata, and each record's bytes and symbols' time.
fn read(file: &[u8]) -> (Metadata, Vec<Vec<u8>>) {
    let cursor = std::io::Cursor::new(file.to_vec());
    let policy = VersionUpgradePolicy::AsIs;
    let mut decoder = DynDecoder::inferred_with_buffer(cursor, policy).unwrap();
    let mut records = Vec::new();
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        records.push(record.as_ref().to_vec());
    }
    (decoder.metadata().clone(), records)
}

fn time_of(record: &[u8]) -> u64 {
    let recv = if record[1] == 0x12 || record[1] == 0x13 { 16 } else { 32 };
    u64::from_le_bytes(record[recv..recv + 8].try_into().unwrap())
}

/// Makes a recording of the simulated market.
fn simulate(folder: &Path, name: &str, more: &[&str]) {
    let out = folder.join(name);
    succeed(broadtape().args(["simulate", "-o", out.to_str().unwrap()]).args(more));
}

fn serve(folder: &Path, more: &[&str]) -> Program {
    let these = ["serve", "--log", "error", "--rate", "1000", "--drain", "0s", "--recordings"];
    Program::start(&[&these[..], &[folder.to_str().unwrap()], more].concat())
}

/// Waits until a recording can be had.
fn ready(server: &Program, name: &str) {
    loop {
        let all = server.get("/v1/recordings");
        let all = all["recordings"].as_array().unwrap();
        if all.iter().any(|one| one["name"] == name && one["state"] == "ready") {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sim() -> (TempDir, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    simulate(folder.path(), "sim.dbn.zst", &["--for", "20s", "--scenario", "halt"]);
    let (_, records) = read(&fs::read(folder.path().join("sim.dbn.zst")).unwrap());
    assert!(records.len() > 1_000);
    (folder, records)
}

#[test]
fn a_recording_comes_whole_and_in_part() {
    let (folder, records) = sim();
    let server = serve(folder.path(), &[]);
    ready(&server, "sim");
    for (name, kind) in [("sim.dbn", "octet-stream"), ("sim.dbn.zst", "zstd")] {
        let answer = get(&server, &format!("/v1/recordings/{name}"));
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.head.contains(&format!("content-type: application/{kind}")));
        let (metadata, came) = read(&answer.body);
        assert_eq!((metadata.version, metadata.ts_out), (3, false));
        assert_eq!(metadata.mappings.len(), 8);
        assert!(came == records, "{name}: each record as it was");
    }
    let times: Vec<u64> = records.iter().map(|record| time_of(record)).collect();
    let (start, end) = (times[times.len() / 3], times[times.len() / 2]);
    let within = |record: &&Vec<u8>| (start..=end).contains(&time_of(record));
    let range = format!("start={start}&end={end}");
    let (metadata, part) = read(&get(&server, &format!("/v1/recordings/sim.dbn?{range}")).body);
    assert!(part.iter().eq(records.iter().filter(within)), "both ends included");
    assert_eq!((metadata.start, metadata.end.unwrap().get()), (start, end + 1));
    let symbol = metadata.symbols[0].clone();
    let path = format!("/v1/recordings/sim.dbn?{range}&schema=trades&symbols={symbol}");
    let (metadata, some) = read(&get(&server, &path).body);
    assert_eq!((metadata.symbols, metadata.schema), (vec![symbol], Some(dbn::Schema::Trades)));
    let id: u32 = metadata.mappings[0].intervals[0].symbol.parse().unwrap();
    let wanted = |record: &&Vec<u8>| record[1] == 0 && record[4..8] == id.to_le_bytes();
    assert!(some.iter().eq(records.iter().filter(within).filter(wanted)) && !some.is_empty());
}

#[test]
fn what_is_being_recorded_can_be_had_meanwhile() {
    let (folder, _) = sim();
    let tape = folder.path().join("tape");
    let server = serve(folder.path(), &["--record", tape.to_str().unwrap()]);
    let recorded = |server: &Program| {
        let seq = server.get("/v1/status")["recorder"]["recorded_seq"].clone();
        seq.as_str().and_then(|seq| seq.parse().ok()).unwrap_or(0_u64)
    };
    while recorded(&server) < 2_000 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (metadata, all) = read(&get(&server, "/v1/recordings/live.dbn.zst").body);
    assert!(metadata.ts_out && all.len() >= 2_000);
    let stamps = all.iter().map(|r| u64::from_le_bytes(r[r.len() - 8..].try_into().unwrap()));
    assert!(stamps.is_sorted(), "as published");
    let half = time_of(&all[all.len() / 2]);
    let path = format!("/v1/recordings/live.dbn?end={half}&schema=mbp-1");
    let (_, part) = read(&get(&server, &path).body);
    let right = all.iter().filter(|record| record[1] == 1 && time_of(record) <= half);
    assert!(part.iter().eq(right));
    ready(&server, "tape");
}

#[test]
fn what_is_not_there_or_asked_wrongly_is_refused() {
    let (folder, _) = sim();
    fs::write(folder.path().join("old.dbz"), b"\x28\xb5\x2f\xfdnothing").unwrap();
    let server = serve(folder.path(), &[]);
    ready(&server, "sim");
    for (path, status, reason) in [
        ("nothing.dbn", 404, "unknown_recording"),
        ("live.dbn", 404, "unknown_recording"),
        ("..%2Fsim.dbn", 404, "unknown_recording"),
        ("../sim.dbn", 404, "unknown_recording"),
        ("sim", 404, "not_found"),
        (".dbn", 404, "not_found"),
        ("sim.csv", 404, "not_found"),
        ("old.dbn", 409, "wrong_state"),
        ("sim.dbn?start=yesterday", 400, "bad_params"),
        ("sim.dbn?start=2023-11-21&end=2023-11-20", 400, "bad_params"),
        ("sim.dbn?schema=quotes", 400, "bad_params"),
        ("sim.dbn?symbols=", 400, "bad_params"),
        ("sim.dbn?limit=3", 400, "bad_params"),
    ] {
        let answer = get(&server, &format!("/v1/recordings/{path}"));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (answer.status, body["error"]["reason"].as_str()),
            (status, Some(reason)),
            "{path}"
        );
    }
    let mut head = String::new();
    ask(&server, "HEAD", "/v1/recordings/sim.dbn").read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    // Nothing was asked for but that.
    assert!(server.page("/metrics").contains("broadtape_downloads_total 0\n"));
    ask(&server, "POST", "/v1/recordings/sim.dbn").read_to_string(&mut head).unwrap();
    assert!(head.contains("HTTP/1.1 405"), "{head}");
}

#[test]
fn clients_that_do_not_read_hold_their_place_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // More than the buffers of a connection hold.
    simulate(folder.path(), "big.dbn", &["--rate", "50000", "--for", "4s"]);
    let server = serve(folder.path(), &[]);
    ready(&server, "big");
    let path = "/v1/recordings/big.dbn";
    let idle: Vec<_> = (0..16).map(|_| ask(&server, "GET", path)).collect();
    for mut stream in &idle {
        stream.read_exact(&mut [0; 1_000]).unwrap();
    }
    assert_eq!(get(&server, path).status, 429);
    server.get("/v1/status");
    drop(idle);
    loop {
        let answer = get(&server, path);
        if answer.status == 200 {
            let (_, records) = read(&answer.body);
            assert!(records.len() > 150_000);
            break;
        }
    }
}

/// Where the record ends that holds a certain byte of a DBN file.
fn end_of_record(file: &[u8], byte: usize) -> usize {
    let mut at = 8 + u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    while at <= byte {
        at += usize::from(file[at]) * 4;
    }
    at
}

#[test]
fn what_is_cut_short_meanwhile_is_not_taken_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    simulate(folder.path(), "big.dbn", &["--rate", "50000", "--for", "4s"]);
    let path = folder.path().join("big.dbn");
    let whole = fs::read(&path).unwrap();
    let server = serve(folder.path(), &[]);
    ready(&server, "big");
    let mut stream = ask(&server, "GET", "/v1/recordings/big.dbn");
    stream.read_exact(&mut [0; 1_000]).unwrap();
    // Behind what the connection's buffers hold, between two records.
    let cut = end_of_record(&whole, whole.len() - 1_000);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{} bytes of {}", rest.len(), whole.len());
    let counted = |page: String| page.contains("broadtape_downloads_broken_total 1\n");
    while !counted(server.page("/metrics")) {}
}

#[test]
fn the_official_reader_of_another_language_reads_a_download() {
    let name = "databento_ESU4_mbp-1_2024-07-01T2358";
    let (Some(mut python), Some(file)) = (python(), recording(&format!("{name}.dbn.zst"))) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::copy(&file, folder.path().join("es.dbn.zst")).unwrap();
    let server = serve(folder.path(), &[]);
    ready(&server, "es");
    let out = tempfile::tempdir().unwrap();
    for name in ["es.dbn", "es.dbn.zst"] {
        let answer = get(&server, &format!("/v1/recordings/{name}"));
        fs::write(out.path().join(name), answer.body).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/exported.py");
    let files = [out.path().join("es.dbn"), out.path().join("es.dbn.zst")];
    let said = succeed(python.arg(script).args(files));
    assert_eq!(said.trim(), "2288 records of mbp-1 in both, ESU4");
}
