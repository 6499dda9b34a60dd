//! A disk that is full, and a folder that vanishes, under a server that records: streaming goes on,
//! it is told, and once the disk is back the tape has all that the ring still had.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use broadtape::tape::Tape;
use serde_json::Value;

use crate::kill::check;
use crate::program::{Program, broadtape, skip};
use crate::subscriber::Subscriber;

/// A file system of its own, of a few MiB; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    /// Mounts one; none where we may not.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        if !mount(at, "size=3m") {
            skip("no tmpfs can be mounted");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    fn grow(&self) {
        assert!(mount(&self.0, "remount,size=200m"));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // What still holds it open lets go of it later.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(at: &Path, options: &str) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
    command.output().is_ok_and(|output| output.status.success())
}

fn server(tape: &Path) -> Program {
    let record = ["serve", "--log", "error", "--rate", "20000", "--record", tape.to_str().unwrap()];
    let more = ["--durability", "interval=5ms", "--segment-bytes", "1MiB", "--drain", "0s"];
    Program::start(&[&record[..], &more].concat())
}

pub(crate) fn recorder(server: &Program) -> Value {
    server.get("/v1/status")["recorder"].clone()
}

fn recorded(recorder: &Value) -> u64 {
    recorder["recorded_seq"].as_str().unwrap().parse().unwrap()
}

/// Reads until the recorder is as it is to be; what it then says of itself.
pub(crate) fn until(
    server: &Program,
    subscriber: &mut Subscriber,
    right: impl Fn(&Value) -> bool,
) -> Value {
    loop {
        let recorder = recorder(server);
        if right(&recorder) {
            return recorder;
        }
        // Several for each look, which takes its time where cores are short: else it falls behind.
        for _ in 0..16 {
            subscriber.read();
        }
    }
}

/// It has failed, and says so.
pub(crate) fn failed(recorder: &Value) -> bool {
    recorder["failure"].is_string()
}

/// Reads so many more records, and waits until all of them are recorded.
pub(crate) fn catch_up(server: &Program, subscriber: &mut Subscriber, records: usize) -> u64 {
    let enough = subscriber.records.len() + records;
    while subscriber.records.len() < enough {
        subscriber.read();
    }
    let due = subscriber.began + enough as u64;
    recorded(&until(server, subscriber, |recorder| recorded(recorder) >= due))
}

pub(crate) fn is_whole(tape: &Path) {
    let output = broadtape().args(["verify", tape.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.ends_with("whole\n"), "{said}");
}

#[test]
fn a_full_disk_interrupts_the_tape_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount(&folder.path().join("disk")) else { return };
    let tape = disk.0.join("tape");
    let server = server(&tape);
    let mut subscriber = Subscriber::new(&server);
    let full = until(&server, &mut subscriber, failed);
    assert!(full["failure"].to_string().contains("No space left on device"), "{full}");
    let before = subscriber.records.len();
    while subscriber.records.len() < before + 5_000 {
        subscriber.read();
    }
    disk.grow();
    until(&server, &mut subscriber, |recorder| !failed(recorder));
    let counted = catch_up(&server, &mut subscriber, 5_000);
    let state = recorder(&server);
    assert_eq!((&state["holes"], &state["lost"]), (&"0".into(), &"0".into()), "{state}");
    assert!(server.stop().success());
    check(&tape, &subscriber, counted);
    is_whole(&tape);
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let server = server(&tape);
    let mut subscriber = Subscriber::new(&server);
    catch_up(&server, &mut subscriber, 2_000);
    fs::remove_dir_all(&tape).unwrap();
    // It may be back before anybody looks: that it failed is counted.
    let back = |recorder: &Value| recorder["failures"] != "0" && !failed(recorder);
    until(&server, &mut subscriber, back);
    let counted = catch_up(&server, &mut subscriber, 5_000);
    assert!(server.stop().success());
    let tape = Tape::open(&tape).unwrap();
    assert!(tape.damage().is_empty() && tape.last_seq() >= counted, "{:?}", tape.damage());
    assert!(tape.records() > 5_000);
}

/// Records that clients are told can be replayed.
fn listed(server: &Program) -> u64 {
    let live = server.get("/v1/recordings")["recordings"][0].clone();
    assert_eq!((&live["name"], &live["state"]), (&"live".into(), &"ready".into()), "{live}");
    live["records"].as_str().unwrap().parse().unwrap()
}

/// The ring has all of it: the segment that is begun anew has the name of the one that is gone.
#[test]
fn a_segment_that_is_begun_anew_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let record = ["serve", "--log", "error", "--rate", "2000", "--record", tape.to_str().unwrap()];
    let server = Program::start(&[&record[..], &["--drain", "0s"]].concat());
    let mut subscriber = Subscriber::new(&server);
    let counted = catch_up(&server, &mut subscriber, 500);
    assert!(listed(&server) >= counted);
    fs::remove_dir_all(&tape).unwrap();
    let back = |recorder: &Value| recorder["failures"] != "0" && !failed(recorder);
    until(&server, &mut subscriber, back);
    let counted = catch_up(&server, &mut subscriber, 1_000);
    assert_eq!(Tape::open(&tape).unwrap().first_seq(), 1);
    let listed = listed(&server);
    assert!(listed >= counted, "{listed} of {counted} records can be replayed");
}
