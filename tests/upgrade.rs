//! A newer process takes the listening sockets over: nobody who connects meanwhile is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use program::{Program, broadtape};
use rustix::process::{Pid, Signal, kill_process};

/// Between two connects: 500 a second.
const PERIOD: Duration = Duration::from_millis(2);
/// How long nobody may come in.
const PATIENCE: Duration = Duration::from_secs(20);

/// A WebSocket handshake over its own connection, to the first bytes behind the answer's head: the
/// welcome. What went wrong, where something did.
fn come_in(address: &str) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET /v1/stream HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|error| format!("request: {error}"))?;
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.windows(7).any(|word| word == b"welcome") {
        match stream.read(&mut piece).map_err(|error| format!("answer: {error}"))? {
            0 => return Err(format!("ended after {:?}", String::from_utf8_lossy(&answer))),
            taken => answer.extend_from_slice(&piece[..taken]),
        }
    }
    match answer.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// Connects 500 times a second until it is told to stop, and counts; what went wrong.
fn storm(address: &str, came: &AtomicUsize, over: &AtomicBool) -> Vec<String> {
    let (mut next, mut wrong) = (Instant::now(), Vec::new());
    while !over.load(Relaxed) {
        match come_in(address) {
            Ok(()) => _ = came.fetch_add(1, Relaxed),
            Err(what) => wrong.push(what),
        }
        next += PERIOD;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    wrong
}

/// Waits until so many more have come, or none does any more.
fn wait_for(more: usize, came: &AtomicUsize) {
    let (before, begun) = (came.load(Relaxed), Instant::now());
    while came.load(Relaxed) < before + more && begun.elapsed() < PATIENCE {
        std::thread::sleep(PERIOD);
    }
}

/// A number that whoever runs the long form gives.
fn asked(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn nobody_is_refused_while_a_newer_process_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upgrade");
    let args = ["serve", "--drain", "10s", "--log", "warn", "--upgrade", path.to_str().unwrap()];
    let mut serving = Program::start(&args);
    let address = serving.address.clone();
    let (came, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let begun = Instant::now();
    let storms: Vec<_> = (0..2)
        .map(|_| {
            let (address, came, over) = (address.clone(), came.clone(), over.clone());
            std::thread::spawn(move || storm(&address, &came, &over))
        })
        .collect();
    for _ in 0..asked("UPGRADE_TURNS", 3) {
        wait_for(asked("UPGRADE_CONNECTS", 20), &came);
        let older = std::mem::replace(&mut serving, Program::start_at(&address, &args));
        assert_eq!(older.wait().code(), Some(0), "the older process drains, and ends");
        come_in(&address).unwrap();
    }
    over.store(true, Relaxed);
    let wrong: Vec<String> = storms.into_iter().flat_map(|storm| storm.join().unwrap()).collect();
    let (came, took) = (came.load(Relaxed), begun.elapsed().as_secs_f64());
    println!("{came} connects, {:.0} a second, {} refused", came as f64 / took, wrong.len());
    assert!(came > 20, "{came}");
    assert_eq!(wrong, Vec::<String>::new(), "of {came}");
    assert!(serving.stop().success());
    assert!(!path.exists(), "the last one leaves nothing behind");
}

#[test]
fn a_newer_process_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upgrade");
    let upgrade = ["--upgrade", path.to_str().unwrap()];
    let serving = Program::start(&["serve", upgrade[0], upgrade[1]]);
    let taken = UnixListener::bind(folder.path().join("other")).unwrap();
    let other = serving.address.replace("127.0.0.1", "127.0.0.2");
    let busy = std::net::TcpListener::bind(&other).unwrap();
    let failed = broadtape().args(["serve", "--listen", &other]).args(upgrade).output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "its other address is in use");
    come_in(&serving.address).unwrap();
    drop((taken, busy));
    let newer = Program::start_at(&serving.address, &["serve", upgrade[0], upgrade[1]]);
    assert_eq!(serving.wait().code(), Some(0));
    come_in(&newer.address).unwrap();
}

#[test]
fn a_socket_that_was_left_behind_is_taken_and_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upgrade");
    drop(UnixListener::bind(&path).unwrap());
    let serving = Program::start(&["serve", "--upgrade", path.to_str().unwrap()]);
    come_in(&serving.address).unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "keep me").unwrap();
    let failed = broadtape()
        .args(["serve", "--listen", "127.0.0.1:0", "--upgrade", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("there is a file, and no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep me");
}

/// While it starts, too, SIGHUP only means that files are to be read: here it waits for the older
/// process, as it may wait for a tape to be looked through.
#[test]
fn an_order_to_read_files_again_does_not_end_a_server_that_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upgrade");
    let older = UnixListener::bind(&path).unwrap();
    let starting = broadtape()
        .args(["serve", "--listen", "127.0.0.1:0", "--upgrade", path.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (asked, _) = older.accept().unwrap();
    kill_process(Pid::from_child(&starting), Signal::HUP).unwrap();
    drop(asked);
    let ended = starting.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("hands no listening sockets over"), "{:?}: {said}", ended.status);
    assert_eq!(ended.status.code(), Some(1));
}
