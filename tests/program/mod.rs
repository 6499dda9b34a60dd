//! The program as a user starts it: its command line, its `listening on` line, its signals; and
//! what tests need from outside of the project: recordings, Python, Node.
#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod secure;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Where this variable is set, servers are started with TLS, and clients that know of it speak it.
const ENCRYPTED: &str = "TEST_TLS";

/// How long a program may take to say what it was started for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `broadtape serve` or `broadtape replay`; killed when dropped.
pub(crate) struct Program {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    /// It speaks TLS.
    pub(crate) encrypted: bool,
}

impl Program {
    /// Starts it on a port of the system's choice, and waits until it listens.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_in(Path::new("."), args)
    }

    /// The same, in a folder.
    pub(crate) fn start_in(folder: &Path, args: &[&str]) -> Self {
        Self::listen(folder, "127.0.0.1:0", args)
    }

    /// Starts it on a certain address.
    pub(crate) fn start_at(address: &str, args: &[&str]) -> Self {
        Self::listen(Path::new("."), address, args)
    }

    /// Starts it with its log in a file.
    pub(crate) fn start_with_log(log: fs::File, args: &[&str]) -> Self {
        let mut command = broadtape();
        command.stderr(log);
        Self::launch(command, Path::new("."), "127.0.0.1:0", args)
    }

    /// The same, started by a program that changes something for it: `prlimit`, `env`.
    pub(crate) fn start_under(starter: &[&str], args: &[&str]) -> Self {
        let mut command = Command::new(starter[0]);
        command.args(&starter[1..]).arg(env!("CARGO_BIN_EXE_broadtape")).stdin(Stdio::null());
        Self::launch(command, Path::new("."), "127.0.0.1:0", args)
    }

    fn listen(folder: &Path, address: &str, args: &[&str]) -> Self {
        Self::launch(broadtape(), folder, address, args)
    }

    fn launch(mut command: Command, folder: &Path, address: &str, args: &[&str]) -> Self {
        command.current_dir(folder).args(args).args(["--listen", address]).stdout(Stdio::piped());
        if std::env::var_os(ENCRYPTED).is_some() {
            command.arg("--tls-self-signed");
        }
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let Some(line) = first_line(out) else {
            panic!("{args:?} does not listen after {PATIENCE:?}: {:?}", child.kill())
        };
        let url = line.strip_prefix("listening on ").and_then(|url| url.split_once("://"));
        let Some((scheme @ ("http" | "https"), address)) = url else {
            panic!("{args:?} says {line:?}, not what it listens on")
        };
        Self { address: address.to_owned(), encrypted: scheme == "https", child }
    }

    /// Where it streams.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}/v1/stream", self.address)
    }

    /// The JSON of one of its pages.
    pub(crate) fn get(&self, path: &str) -> serde_json::Value {
        let body = self.page(path);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}\n{body}"))
    }

    /// The body of one of its pages.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut tls = self.encrypted.then(|| secure::session(secure::trusting()));
        let mut stream = secure::over(&mut stream, tls.as_mut());
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n");
        body.unwrap_or_else(|| panic!("{path}: {answer:?}")).1.to_owned()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) fn stop(self) -> ExitStatus {
        self.terminate();
        self.ended()
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Tells it to read its files anew (SIGHUP).
    pub(crate) fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Waits until it has ended after it was asked to.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it has not ended after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already, which is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program.
pub(crate) fn broadtape() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadtape"));
    // Where the tests' data is, is no setting of the program.
    command.stdin(Stdio::null()).env_remove("BROADTAPE_DATA");
    command
}

/// The first line that comes; none where nothing comes in time.
pub(crate) fn first_line(from: impl BufRead + Send + 'static) -> Option<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(from.lines().next()?.ok()?).ok());
    receive.recv_timeout(PATIENCE).ok()
}

/// Runs a command to its end; panics with what it said where it fails.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output: Output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    said
}

/// Python with the clients' packages; none where they are not installed.
pub(crate) fn python() -> Option<Command> {
    let python = installed("venv/bin/python")?;
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

/// Where Node finds the clients' packages; none where they are not installed.
pub(crate) fn node_path() -> Option<PathBuf> {
    installed("node/node_modules")
}

fn installed(part: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let path = target.join("clients").join(part);
    if !path.exists() {
        skip("no independent clients: tools/check.sh clients installs them");
        return None;
    }
    Some(path)
}

/// A file of recorded data; none where there is none.
pub(crate) fn recording(name: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BROADTAPE_DATA").map_or_else(default, PathBuf::from);
    let path = folder.join(name);
    if fs::exists(&path).unwrap_or(false) {
        return Some(path);
    }
    skip("no recorded data");
    None
}

/// Says that a test is skipped and why; a failure where CI runs.
#[allow(clippy::print_stdout, reason = "tools/check.sh shows it")]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "skipped in CI: {why}");
    println!("skipped: {why}");
}
