//! A disk that answers with EIO, or is slower than the feed, under a server that records, by a
//! library that is preloaded: streaming goes on, page, metrics and log say what is wrong, and the
//! tape tells the truth.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use broadtape::tape::Tape;
use serde_json::Value;

use crate::disk::{catch_up, failed, is_whole, recorder, until};
use crate::kill::check;
use crate::program::{Program, skip};
use crate::subscriber::Subscriber;

/// A disk, and a server that records on it.
struct Failing {
    folder: tempfile::TempDir,
    server: Program,
}

/// Compiles what is preloaded; none where there is no compiler.
fn library(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("failing.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tape/failing.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", source, "-o"]).arg(&library);
    let Ok(output) = compiler.output() else {
        skip("no C compiler: it is Debian's package gcc");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

impl Failing {
    fn start(more: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // As the kernel names it: that is what the library compares.
        let place = folder.path().canonicalize().unwrap();
        let preload = format!("LD_PRELOAD={}", library(&place)?.display());
        let variables = [("DISK_FOLDER", "tape"), ("DISK_FAULT", "fault"), ("DISK_NOTES", "notes")];
        let variables =
            variables.map(|(name, file)| format!("{name}={}", place.join(file).display()));
        let log = format!("exec \"$@\" 2>'{}'", place.join("log").display());
        let mut starter = vec!["env", &preload];
        starter.extend(variables.iter().map(String::as_str));
        starter.extend(["sh", "-c", &log, "sh"]);
        let tape = place.join("tape");
        let record = ["serve", "--rate", "20000", "--record", tape.to_str().unwrap()];
        let ends = ["--segment-bytes", "1MiB", "--drain", "0s"];
        let server = Program::start_under(&starter, &[&record[..], &ends, more].concat());
        Some(Self { folder, server })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// From now on such calls fail.
    fn fail(&self, call: &str) {
        // As a whole: the library reads it at each call.
        fs::write(self.path("new"), call).unwrap();
        fs::rename(self.path("new"), self.path("fault")).unwrap();
    }

    fn heal(&self) {
        fs::remove_file(self.path("fault")).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Fails such calls until that is told, goes on streaming, and heals it; what was told.
    fn outage(&self, call: &str, subscriber: &mut Subscriber, records: usize) -> Value {
        self.fail(call);
        let state = until(&self.server, subscriber, failed);
        assert!(state["failure"].to_string().contains("Input/output error"), "{state}");
        assert_eq!(self.metric("broadtape_tape_recording"), 0);
        let enough = subscriber.records.len() + records;
        while subscriber.records.len() < enough {
            subscriber.read();
        }
        assert!(failed(&recorder(&self.server)), "it does not say so too early");
        self.heal();
        until(&self.server, subscriber, |recorder| !failed(recorder));
        assert_eq!(self.metric("broadtape_tape_recording"), 1);
        assert_eq!(self.metric("broadtape_tape_failures_total"), 1, "one interruption");
        state
    }

    fn metric(&self, name: &str) -> u64 {
        let page = self.server.page("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().parse().unwrap()
    }

    /// Reads on until the recorder has been overtaken so many times.
    fn overtaken(&self, times: u64, subscriber: &mut Subscriber) {
        until(&self.server, subscriber, |recorder| number(&recorder["holes"]) >= times);
    }

    /// A file whose sync has failed is not synced again: the kernel tells an error once, and a
    /// success would say nothing of what was lost.
    fn never_synced_again(&self) -> usize {
        let (notes, mut lost) = (self.read("notes"), HashSet::new());
        for line in notes.lines() {
            let (call, path) = line.rsplit_once(' ').unwrap();
            let synced = call.starts_with("fdatasync");
            assert!(!synced || !lost.contains(path), "after its sync had failed: {line}");
            if call == "fdatasync EIO" {
                lost.insert(path);
            }
        }
        lost.len()
    }
}

#[test]
fn after_a_failed_sync_a_new_segment_begins_and_nothing_is_missing() {
    let Some(disk) = Failing::start(&["--durability", "interval=5ms"]) else { return };
    let mut subscriber = Subscriber::new(&disk.server);
    catch_up(&disk.server, &mut subscriber, 2_000);
    let state = disk.outage("fdatasync", &mut subscriber, 20_000);
    assert!(state["failure"].to_string().contains("fdatasync"), "{state}");
    let counted = catch_up(&disk.server, &mut subscriber, 5_000);
    let state = recorder(&disk.server);
    assert_eq!((&state["holes"], &state["lost"]), (&"0".into(), &"0".into()), "{state}");
    let log = disk.read("log");
    assert!(log.contains("Input/output error") && log.contains("nothing is missing"), "{log}");
    let lost = disk.never_synced_again();
    assert!(lost > 0);
    let Failing { folder, server } = disk;
    assert!(server.stop().success());
    check(&folder.path().join("tape"), &subscriber, counted);
    is_whole(&folder.path().join("tape"));
    println!("fdatasync failed (EIO) for {lost} segments: none synced again, 0 records missing");
}

#[test]
fn an_outage_longer_than_the_ring_is_an_exact_hole() {
    let more = ["--durability", "commit", "--ring", "1MiB"];
    let Some(disk) = Failing::start(&more) else { return };
    let mut subscriber = Subscriber::new(&disk.server);
    catch_up(&disk.server, &mut subscriber, 2_000);
    // Some 80 bytes each: several times what the ring holds.
    disk.outage("write", &mut subscriber, 60_000);
    let counted = catch_up(&disk.server, &mut subscriber, 5_000);
    let state = recorder(&disk.server);
    let log = disk.read("log");
    let Failing { folder, server } = disk;
    assert!(server.stop().success());
    let tape = Tape::open(folder.path().join("tape")).unwrap();
    assert!(tape.last_seq() >= counted);
    let holes = holes(&tape, subscriber.began, |_, _| {});
    let [(from, to)] = holes[..] else { panic!("{holes:?}") };
    let lost = (to - from + 1).to_string();
    assert_eq!((&state["holes"], &state["lost"]), (&"1".into(), &lost.clone().into()), "{state}");
    assert!(log.contains(&format!("{from} to {to}")), "{from} to {to}: {log}");
    println!("write failed (EIO) for longer than the ring: 1 hole, {lost} records, as told");
}

/// The holes of a tape after a number, each the first and the last that is missing; what is there
/// is shown.
fn holes(tape: &Tape, after: u64, mut show: impl FnMut(u64, &[u8])) -> Vec<(u64, u64)> {
    assert!(tape.damage().is_empty(), "{:?}", tape.damage());
    let mut cursor = tape.cursor_after(after).unwrap();
    let (mut due, mut holes) = (after + 1, Vec::new());
    while let Some(block) = cursor.next_block().unwrap() {
        if block.first_seq() > due {
            holes.push((due, block.first_seq() - 1));
        }
        (block.first_seq()..).zip(block.records()).for_each(|(seq, record)| show(seq, record));
        due = block.last_seq() + 1;
    }
    holes
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

/// The runs that a log of JSON names as not on the tape.
fn told(log: &str) -> Vec<(u64, u64)> {
    let named = log.lines().filter_map(|line| line.split_once("not on the tape: "));
    let named = named.filter_map(|(_, rest)| rest.split('"').next());
    // "25 records, 7 to 31"
    let run = |run: &str| {
        if let Some(one) = run.strip_prefix("record ") {
            return one.parse().ok().map(|one| (one, one));
        }
        let (from, to) = run.split(", ").nth(1)?.split_once(" to ")?;
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    let runs = named.flat_map(|named| named.split("; "));
    runs.map(|text| run(text).unwrap_or_else(|| panic!("no run: {text}"))).collect()
}

#[test]
fn a_disk_that_is_slower_than_the_feed_costs_the_tape_alone() {
    // Records of 56 bytes and nothing else, so that their numbers are those of the subscriber.
    let feed = ["--scenario", "metronome", "--ring", "1MiB", "--durability", "interval=50ms"];
    let Some(disk) = Failing::start(&feed) else { return };
    let mut subscriber = Subscriber::new(&disk.server);
    catch_up(&disk.server, &mut subscriber, 5_000);
    let (before, began) = (recorder(&disk.server), subscriber.records.len());
    // A quarter of what the feed brings.
    const SLOW: u64 = 280_000;
    disk.fail(&format!("slow {SLOW}"));
    disk.overtaken(3, &mut subscriber);
    let (slow, ended) = (recorder(&disk.server), subscriber.records.len());
    assert_eq!(slow["failure"], Value::Null, "it is late, not broken: {slow}");
    assert_eq!(disk.metric("broadtape_tape_holes_total"), number(&slow["holes"]));
    let published = disk.metric("broadtape_published_seq");
    assert!(published > disk.metric("broadtape_tape_recorded_seq"), "how far it is behind");
    disk.heal();
    let counted = catch_up(&disk.server, &mut subscriber, 20_000);
    let state = recorder(&disk.server);
    let Failing { folder, server } = disk;
    assert!(server.stop().success());

    let tape = Tape::open(folder.path().join("tape")).unwrap();
    assert!(tape.last_seq() >= counted);
    let holes = holes(&tape, subscriber.began, |seq, record| {
        // The subscriber lost nothing: it is its record of that number.
        if let Some(other) = subscriber.records.get((seq - subscriber.began - 1) as usize) {
            assert_eq!(record, &other[..], "record {seq}");
        }
    });
    let lost: u64 = holes.iter().map(|(from, to)| to - from + 1).sum();
    assert_eq!(number(&state["holes"]), holes.len() as u64, "{holes:?}");
    assert_eq!(number(&state["lost"]), lost, "{holes:?}");
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(told(&log), holes, "each is named in the log, to the record");
    let sent = (ended - began) as u64;
    let wrote = number(&slow["records"]) - number(&before["records"]);
    println!(
        "a disk of {SLOW} bytes/s under 20,000 records/s of 56 bytes: {sent} records sent, none \
         lost; {wrote} recorded meanwhile, {lost} in {} holes, each told exactly",
        holes.len()
    );
}
