//! `record`, `verify` and `repair` as a user runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use broadtape::tape::Tape;
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Program, broadtape};

fn run(args: &[&str]) -> (Output, String) {
    let output = broadtape().args(args).output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8(said).unwrap();
    (output, said)
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    files.retain(|path| path.extension().unwrap() == "tape");
    files.sort();
    files
}

/// Records 2,000 records or more, and ends in order.
fn record(folder: &Path) {
    let newest = || Tape::open(folder).map_or(0, |tape| tape.last_seq());
    let enough = newest() + 2000;
    let mut command = broadtape();
    command.args(["record", folder.to_str().unwrap(), "--rate", "20000", "--log", "error"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while newest() < enough {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with("recorded "), "{said}");
    assert!(said.contains(" 0 lost"), "{said}");
}

#[test]
fn what_is_recorded_alone_is_whole_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    record(&tape);
    let first = Tape::open(&tape).unwrap();
    assert_eq!(first.published(), Some(first.last_seq()));
    record(&tape);
    let second = Tape::open(&tape).unwrap();
    assert_eq!(second.epoch(), first.epoch());
    assert_eq!(second.records(), second.last_seq(), "without a hole between the runs");
    let (output, said) = run(&["verify", tape.to_str().unwrap()]);
    assert!(output.status.success() && said.ends_with("whole\n"), "{said}");
}

#[test]
fn damage_is_told_and_repaired_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let (tape, copy) = (folder.path().join("tape"), folder.path().join("copy"));
    record(&tape);
    let path = &segments(&tape)[0];
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, &bytes).unwrap();
    let (tape, copy) = (tape.to_str().unwrap(), copy.to_str().unwrap());
    let (output, said) = run(&["verify", tape]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("damaged: ") && said.contains("lost: "), "{said}");
    let (output, said) = run(&["repair", tape, "-o", copy]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--salvage") && !Path::new(copy).exists(), "{said}");
    let (output, said) = run(&["repair", tape, "-o", copy, "--salvage"]);
    assert!(output.status.success(), "{said}");
    let (output, said) = run(&["verify", copy]);
    assert!(output.status.success() && said.contains("never recorded: "), "{said}");
}

/// In another one's place it would void all that was recorded before: nothing is read then, and
/// nothing lost.
#[test]
fn a_segment_under_another_name_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    record(&tape);
    record(&tape);
    let whole = Tape::open(&tape).unwrap().records();
    let files = segments(&tape);
    for (file, name) in [(&files[0], "09000000000000000000"), (&files[1], "00000000000000000000")] {
        let renamed = tape.join(format!("{name}.tape"));
        fs::rename(file, &renamed).unwrap();
        let copy = folder.path().join("copy");
        let (tape, copy) = (tape.to_str().unwrap(), copy.to_str().unwrap());
        let right = file.file_name().unwrap().to_str().unwrap();
        for args in [
            &["verify", tape][..],
            &["repair", tape, "--output", copy, "--salvage"],
            &["inspect", tape],
            &["record", tape],
        ] {
            let (output, said) = run(args);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains(&format!("belongs under the name {right}")), "{args:?}: {said}");
        }
        fs::rename(renamed, file).unwrap();
    }
    assert_eq!(Tape::open(&tape).unwrap().records(), whole);
}

#[test]
fn a_folder_has_one_recorder_and_both_are_told_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let tape = tape.to_str().unwrap();
    let server = Program::start(&["serve", "--log", "error", "--record", tape]);
    let (output, said) = run(&["record", tape]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("another recorder is writing to it"), "{said}");
    assert!(server.stop().success());
    let (output, said) = run(&["record", "/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("/nowhere/at/all"), "{said}");
    let (output, said) = run(&["record"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("broadtape record tapes/today"), "{said}");
    let (output, said) = run(&["verify", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no tape in this folder"), "{said}");
}
