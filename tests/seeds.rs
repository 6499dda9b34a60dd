//! The seeds of the fuzz targets that read recordings, held to what these hold, without a fuzzer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by its panic")]

#[allow(dead_code, unreachable_pub, reason = "it is what the targets share")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use broadtape::feed::source::{Format, How};
use targets::{file, folder, how, read};

/// Tests in one process would write over one another's files.
static FILES: Mutex<()> = Mutex::new(());

/// Each seed of a target, without the byte by which that chooses.
fn seeds(target: &str, choice: usize) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    assert!(paths.len() > 1);
    paths.iter().map(|path| fs::read(path).unwrap().split_off(choice)).collect()
}

#[test]
fn recordings_are_read_to_their_end() {
    let _files = FILES.lock();
    for (target, choice, formats) in [
        ("dbn", 0, &[Format::Dbn][..]),
        ("itch", 0, &[Format::Itch]),
        ("iex", 1, &[Format::Iex]),
        ("exchange", 1, &[Format::BinanceSpot, Format::BinanceUsdm, Format::Coinbase]),
        ("lobster", 0, &[Format::Lobster]),
    ] {
        for seed in seeds(target, choice) {
            for format in formats {
                read(*format, vec![file("recording", &seed)], how());
            }
        }
    }
}

#[test]
fn tapes_are_read_to_their_end() {
    let _files = FILES.lock();
    for seed in seeds("tape", 1) {
        let path = folder(&[("00000000000000000001.tape", &seed)]);
        read(Format::Tape, vec![path], How::default());
    }
}
