//! `broadtape bench` against servers that are not broadtape's: small ones, which push what the test
//! says, and know nothing of each other.

#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// How much earlier than it is sent every record was due.
const AGE: Duration = Duration::from_millis(20);

type Socket = WebSocket<TcpStream>;

/// A server that talks to each client as `talk` does, until that returns or the test ends.
fn serve(talk: impl Fn(Socket) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let talk = talk.clone();
            std::thread::spawn(move || {
                // A client that goes away is no failure of the server.
                accept(socket.unwrap()).map(talk).unwrap_or_default()
            });
        }
    });
    address
}

fn unix() -> u64 {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - AGE).as_nanos() as u64
}

fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64 - AGE.as_nanos() as u64
}

fn record(number: u64, stamp: u64) -> Vec<u8> {
    [&number.to_le_bytes()[..], &stamp.to_le_bytes(), &[7; 32]].concat()
}

/// Sends these numbers, and goes on from the last by one, two records a message.
fn push(socket: &mut Socket, numbers: &[u64], stamp: fn() -> u64) -> Option<()> {
    for number in numbers {
        socket.send(Message::binary(record(*number, stamp()))).ok()?;
    }
    for number in (numbers.iter().max().unwrap() + 1..).step_by(2) {
        let two = [record(number, stamp()), record(number + 1, stamp())].concat();
        socket.send(Message::binary(two)).ok()?;
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

fn bench(server: SocketAddr, args: &[&str]) -> (Output, Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadtape"));
    command.args(["bench", &format!("ws://{server}"), "--warmup", "50ms", "--duration", "300ms"]);
    let output = command.arg("--json").arg(file.path()).args(args).output().unwrap();
    let report = std::fs::read(file.path()).unwrap();
    (output, serde_json::from_slice(&report).unwrap_or(Value::Null))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn measured(server: SocketAddr, args: &[&str]) -> Value {
    let (output, report) = bench(server, args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    report
}

#[track_caller]
fn is_late_by_its_age(report: &Value) {
    let latency = &report["latency_ns"]["ts_event"];
    assert_eq!((&latency["count"], &latency["negative"]), (&report["records"], &0.into()));
    assert!(report["records"].as_u64().unwrap() > 0, "{report}");
    let least = latency["min"].as_u64().unwrap();
    assert!(least >= AGE.as_nanos() as u64 * 999 / 1000 && least < 10_000_000_000, "{least}");
}

#[test]
fn records_that_are_pushed_are_counted_and_measured() {
    let server = serve(|mut socket| {
        let _ = socket.send(Message::text("hello"));
        push(&mut socket, &[5], unix).unwrap_or_default();
    });
    let report = measured(server, &["-c", "3", "--protocol", "raw48", "--threads", "2"]);
    is_late_by_its_age(&report);
    assert_eq!((&report["lost"], &report["checks"]["foreign"]), (&0.into(), &3.into()));
    assert_eq!((&report["duplicated"], &report["reordered"]), (&0.into(), &0.into()));
    assert_eq!(report["disconnects"], serde_json::json!({}));
}

#[test]
fn what_the_numbers_tell_is_exact() {
    // 3 is late, 8 and 9 never come, 4 and 12 come twice.
    let numbers = [1, 2, 4, 3, 4, 5, 6, 7, 10, 11, 12, 12];
    let server = serve(move |mut socket| {
        push(&mut socket, &numbers, unix).unwrap_or_default();
    });
    let fail_if = ["--fail-if", "lost>0", "--fail-if", "reordered>9"];
    let (output, report) =
        bench(server, &[&["-c", "2", "--protocol", "raw48"][..], &fail_if].concat());
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!((&report["lost"], &report["worst"]["lost"]), (&4.into(), &2.into()));
    assert_eq!((&report["duplicated"], &report["worst"]["duplicated"]), (&4.into(), &2.into()));
    assert_eq!((&report["reordered"], &report["worst"]["reordered"]), (&2.into(), &1.into()));
    assert!(stderr(&output).contains("lost>0: it is 4") && !stderr(&output).contains("reordered"));
}

#[test]
fn a_server_may_have_to_be_asked_and_may_have_another_clock() {
    let server = serve(|mut socket| {
        while let Ok(message) = socket.read() {
            if message == Message::text("start") {
                push(&mut socket, &[0], monotonic).unwrap_or_default();
            }
        }
    });
    let args = ["-c", "2", "--protocol", "raw48", "--clock", "monotonic"];
    let report = measured(server, &[&args[..], &["--subscribe-message", "start"]].concat());
    is_late_by_its_age(&report);
}

#[test]
fn a_message_of_another_size_ends_the_connection() {
    let server = serve(|mut socket| {
        let _ = socket.send(Message::binary(vec![0; 49]));
        while socket.read().is_ok() {}
    });
    let (output, _) = bench(server, &["-c", "1", "--protocol", "raw48"]);
    assert_eq!(output.status.code(), Some(1));
    let words = "a binary message of 49 bytes: raw48 takes multiples of 48";
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
}

#[test]
fn a_server_that_vanishes_is_told() {
    let server = serve(drop);
    let (output, _) = bench(server, &["-c", "2", "--protocol", "raw48"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("lost: "), "{}", stderr(&output));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let (output, _) = bench(address, &["-c", "2"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("does not answer in HTTP"), "{}", stderr(&output));
}

/// The lines of NATS, cut into frames where they should least be.
fn nats(mut socket: Socket, said: &Mutex<String>) -> Option<()> {
    let send = |socket: &mut Socket, bytes: &[u8]| -> Option<()> {
        let cut = bytes.len() / 2;
        socket.write(Message::binary(bytes[..cut].to_vec())).ok()?;
        socket.send(Message::binary(bytes[cut..].to_vec())).ok()
    };
    send(&mut socket, b"INFO {\"server_id\":\"test\",\"max_payload\":65536}\r\n")?;
    let mut heard = String::new();
    while !heard.contains("PUB go 0") {
        let message = socket.read().ok()?;
        heard.push_str(&String::from_utf8_lossy(&message.into_data()));
        if heard.ends_with("PING\r\n") {
            send(&mut socket, b"PONG\r\nPING\r\n")?;
        }
    }
    said.lock().unwrap().push_str(&heard);
    for number in 0.. {
        let mut lines = b"MSG md.3 1 48\r\n".to_vec();
        lines.extend(record(number, unix()));
        lines.extend(b"\r\n");
        send(&mut socket, &lines)?;
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

#[test]
fn nats_is_spoken_well_enough_to_be_measured() {
    let said = Arc::new(Mutex::new(String::new()));
    let shared = said.clone();
    let server = serve(move |socket| nats(socket, &shared).unwrap_or_default());
    let args = ["-c", "1", "--protocol", "nats", "--subject", "md.*"];
    let report = measured(server, &[&args[..], &["--subscribe-message", "PUB go 0\r\n"]].concat());
    is_late_by_its_age(&report);
    assert_eq!((&report["lost"], &report["checks"]["foreign"]), (&0.into(), &0.into()));
    let said = said.lock().unwrap();
    assert!(
        said.starts_with("CONNECT {") && said.contains("}\r\nSUB md.* 1\r\nPING\r\n"),
        "{said}"
    );
    assert!(said.contains("PONG\r\n"), "{said}");
}
