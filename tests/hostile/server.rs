//! A server under attack, and what it costs: descriptors, CPU time, sessions.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Program;

/// How long something that has to happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    /// None: it runs within this process.
    program: Option<Program>,
    address: String,
    /// Its trades are numbered without a hole.
    pub(crate) numbered: bool,
}

impl Server {
    /// A metronome at 1,000 records a second, and what `args` say.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_by(args, Program::start)
    }

    /// The same, started in another way.
    pub(crate) fn start_by(args: &[&str], start: impl FnOnce(&[&str]) -> Program) -> Self {
        let quiet = ["serve", "--scenario", "metronome", "--rate", "1000", "--log", "error"];
        let given = |name: &&&str| args.contains(*name) && name.starts_with("--");
        let mut all = vec!["serve"];
        for pair in quiet[1..].chunks(2).filter(|pair| !given(&&pair[0])) {
            all.extend(pair);
        }
        // Under these names the tests ask.
        all.extend(["--hosts", "test", "--hosts", "x"]);
        let numbered = !args.contains(&"--scenario");
        let program = start(&[&all[..], args].concat());
        let server = Self { numbered, ..Self::of(program) };
        // A shard that answers has opened all that it needs: descriptors can be compared.
        server.wait_until("its shards answer", |server| {
            server.page("/metrics").contains("broadtape_connections{shard")
        });
        server
    }

    /// A program that plays numbered trades.
    pub(crate) fn of(program: Program) -> Self {
        Self { address: program.address.clone(), program: Some(program), numbered: true }
    }

    /// One that runs within this process, and plays numbered trades.
    pub(crate) fn within(address: String) -> Self {
        Self { program: None, address, numbered: true }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.program.as_ref().map_or_else(std::process::id, Program::id)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A connection that has said nothing.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Everything it answers to these bytes, until it ends the connection.
    pub(crate) fn answer(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // It may have refused, and closed, before all of it was sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The body of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let answer = self.answer(head.as_bytes());
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {answer:?}")).1.to_owned()
    }

    /// `/v1/sessions`.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        let page: Value = serde_json::from_str(&self.page("/v1/sessions")).unwrap();
        page["sessions"].as_array().unwrap().clone()
    }

    /// The sum of a metric over its labels, of those lines that contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let page = self.page("/metrics");
        let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Open descriptors of the process.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Resident memory of the process, bytes.
    pub(crate) fn memory(&self) -> u64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.id())).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64
    }

    /// CPU time of the process so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until `done` holds.
    pub(crate) fn wait_until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it has given back all that the attackers held: only `left` sessions are there,
    /// and no more descriptors than `before`.
    pub(crate) fn wait_for_quiet(&self, left: usize, before: usize) {
        self.wait_until("all sessions end", |server| server.sessions().len() == left);
        self.wait_until("all descriptors are closed", |server| server.descriptors() <= before);
    }

    /// Tells it to end (SIGTERM) without waiting for that.
    pub(crate) fn terminate(&self) {
        self.program.as_ref().unwrap().terminate();
    }

    /// Waits until it has ended.
    pub(crate) fn ended(self) -> ExitStatus {
        self.program.unwrap().wait()
    }
}
