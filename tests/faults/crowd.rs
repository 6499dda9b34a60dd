//! Many subscribers at once, read by one thread: each checks that its frames are whole and that no
//! record is missing between them.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::raw::Raw;
use crate::server::Server;

/// Longer turns: `tools/faults.sh` sets it.
pub(crate) fn scale() -> usize {
    std::env::var("FAULTS_SCALE").map_or(1, |scale| scale.parse().unwrap())
}

/// Subscribes to all trades of a market that has nothing but trades.
pub(crate) fn subscribe(raw: &mut Raw) {
    let wish = json!({"schema": "trades", "symbols": "*", "snapshot": false});
    assert_eq!(raw.ask(1, "subscribe", wish)["success"], true);
}

/// A subscriber that reads when it is told to.
pub(crate) struct Reader {
    stream: TcpStream,
    input: Vec<u8>,
    /// The last position.
    seq: Option<u64>,
    /// Records between the first position and that.
    pub(crate) records: u64,
    /// The code of `closing`.
    pub(crate) closing: Option<u64>,
    /// The code of the close frame.
    pub(crate) code: Option<u16>,
    /// Has the connection ended?
    pub(crate) ended: bool,
}

impl Reader {
    pub(crate) fn new(server: &Server) -> Self {
        let mut raw = Raw::open(server, "dbn");
        subscribe(&mut raw);
        let (stream, input) = raw.into_parts();
        stream.set_nonblocking(true).unwrap();
        let (closing, code) = (None, None);
        Self { stream, input, seq: None, records: 0, closing, code, ended: false }
    }

    /// Takes what has come.
    pub(crate) fn pump(&mut self, buffer: &mut [u8]) {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("after {} records: {error}", self.records),
            }
            let before = self.input.len();
            self.take_frames();
            if self.ended || self.input.len() == before {
                break;
            }
        }
        assert!(!self.ended || self.input.is_empty(), "it ended within a frame");
    }

    fn take_frames(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some((head, length)) = frame_at(&input[at..]) {
            let end = at + head + length;
            self.take(input[at] & 0x0f, &input[at + head..end]);
            at = end;
        }
        input.drain(..at);
        self.input = input;
    }

    fn take(&mut self, opcode: u8, payload: &[u8]) {
        match opcode {
            1 => {
                let message: Value = serde_json::from_slice(payload).unwrap();
                match message["type"].as_str() {
                    Some("closing") => self.closing = message["code"].as_u64(),
                    Some(bad @ ("gap" | "error")) => panic!("{bad}: {message}"),
                    _ => {}
                }
            }
            2 if payload[1] == 0 => {
                let count = u64::from(u16::from_le_bytes(payload[2..4].try_into().unwrap()));
                let seq = u64::from_le_bytes(payload[8..16].try_into().unwrap());
                let before = self.seq.replace(seq).unwrap_or(seq - count);
                assert_eq!(seq - count, before, "a record is missing");
                self.records += count;
            }
            8 => self.code = payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
            _ => {}
        }
    }
}

/// Bytes of the head and of the payload of the whole frame that this begins with.
fn frame_at(bytes: &[u8]) -> Option<(usize, usize)> {
    let [_, short, ..] = *bytes else { return None };
    let (head, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?))),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= head + length).then_some((head, length))
}

/// Reads for all of them until `done`; how long that took.
pub(crate) fn pump_until(
    readers: &mut [Reader],
    what: &str,
    mut done: impl FnMut(&[Reader]) -> bool,
) -> Duration {
    let (begun, mut buffer) = (Instant::now(), vec![0; 256 << 10]);
    loop {
        readers.iter_mut().for_each(|reader| reader.pump(&mut buffer));
        if done(readers) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}: not after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_tenth_of_a_thousand_that_never_read_takes_nothing_from_the_others() {
    const SILENT: usize = 100;
    let many = ["--start", "on-subscribe=1000", "--queue", "128KiB", "--flush-interval", "100ms"];
    let server = Server::start(&[&["--rate", "600"], &many[..]].concat());
    let mut readers: Vec<Reader> = (SILENT..1000).map(|_| Reader::new(&server)).collect();
    let before = server.memory();
    let silent: Vec<Raw> = (0..SILENT)
        .map(|_| {
            let mut raw = Raw::with_small_buffer(&server, "dbn");
            subscribe(&mut raw);
            raw
        })
        .collect();
    let (mut most, mut looked) = (0, Instant::now());
    let time = pump_until(&mut readers, "the silent are sent away", |_| {
        most = most.max(server.memory());
        // A look at the page is a part of the load.
        let look = looked.elapsed() > Duration::from_millis(500);
        if look {
            looked = Instant::now();
        }
        look && server.metric("broadtape_closes_total", "\"slow\"") == SILENT as f64
    });
    assert!(readers.iter().all(|reader| !reader.ended && reader.records > 0));
    let grown = most.saturating_sub(before) >> 20;
    assert!(grown < 64, "{grown} MiB for {SILENT} queues of 128 KiB");
    let records: u64 = readers.iter().map(|reader| reader.records).sum();
    println!(
        "100 of 1,000 never read: all 100 sent away (4008) after {time:.1?}, 900 lost 0 of \
         {records} records, {grown} MiB more memory"
    );
    drop(silent);
}

#[test]
fn two_thousand_that_come_and_go_leave_nothing_behind() {
    let server = Server::start(&[]);
    let witness = crate::witness::Witness::start(&server);
    let before = server.descriptors();
    let each = 500 * scale();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..each {
                    let mut raw = Raw::open(&server, "dbn");
                    let wish = json!({"schema": "trades", "symbols": "*"});
                    let request = json!({"id": 1, "method": "subscribe", "params": wish});
                    raw.say(&request.to_string());
                    match n % 3 {
                        0 => drop(raw.answer_to(1)),
                        1 => raw.reset(),
                        _ => {}
                    }
                }
            });
        }
    });
    let (visits, time) = (4 * each, begun.elapsed());
    server.wait_for_quiet(1, before);
    let memory = server.memory() >> 20;
    let trades = witness.lost_nothing();
    println!(
        "{visits} visits in {time:.1?} ({:.0} a second): 0 descriptors left, {memory} MiB, \
         a witness lost 0 of {trades}",
        visits as f64 / time.as_secs_f64()
    );
}

/// Connections a second that churn, and for how many seconds.
const CHURN: (u32, u32) = (2_000, 2);

#[test]
fn two_thousand_connects_a_second_harm_no_stream() {
    let connects = CHURN.0 * CHURN.1 * scale() as u32;
    let server = Server::start(&[]);
    let mut readers: Vec<Reader> = (0..20).map(|_| Reader::new(&server)).collect();
    let witness = crate::witness::Witness::start(&server);
    let (before, begun) = (server.descriptors(), Instant::now());
    let time = std::thread::scope(|scope| {
        let turns = |part| (part..connects).step_by(4);
        let server = &server;
        let clients =
            [0, 1, 2, 3].map(|part| scope.spawn(move || come_and_go(server, begun, turns(part))));
        pump_until(&mut readers, "all have come and gone", |_| {
            clients.iter().all(std::thread::ScopedJoinHandle::is_finished)
        })
    });
    server.wait_for_quiet(21, before);
    assert!(readers.iter().all(|reader| !reader.ended && reader.records > 0));
    assert_eq!(server.metric("broadtape_gate_refused_total", ""), 0.0, "all were let in");
    let records: u64 = readers.iter().map(|reader| reader.records).sum();
    let trades = witness.lost_nothing();
    println!(
        "churn: {connects} connects at {} a second, {:.0} a second reached: 0 refused, 20 readers \
         lost 0 of {records}, a witness lost 0 of {trades}",
        CHURN.0,
        f64::from(connects) / time.as_secs_f64()
    );
}

/// Comes and goes when it is time to, half of the times with a reset.
fn come_and_go(server: &Server, begun: Instant, turns: impl Iterator<Item = u32>) {
    for turn in turns {
        let due = begun + Duration::from_secs(1) * turn / CHURN.0;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let raw = Raw::open(server, "dbn");
        if turn % 8 < 4 { raw.reset() } else { drop(raw) }
    }
}

#[test]
fn sigterm_under_load_tells_everybody_and_cuts_no_frame() {
    let server = Server::start(&["--rate", "5000", "--start", "on-subscribe=200", "--drain", "2s"]);
    let mut readers: Vec<Reader> = (0..200).map(|_| Reader::new(&server)).collect();
    pump_until(&mut readers, "records come", |all| all.iter().all(|reader| reader.records > 500));
    server.terminate();
    let time = pump_until(&mut readers, "all are gone", |all| all.iter().all(|r| r.ended));
    let told = readers.iter().filter(|r| (r.closing, r.code) == (Some(1012), Some(1012))).count();
    assert_eq!(told, readers.len());
    drop(readers);
    assert_eq!(server.ended().code(), Some(0));
    println!("SIGTERM, 200 readers of 5,000 a second: {told} told 1012, 0 frames cut, {time:.1?}");
}
