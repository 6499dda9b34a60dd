//! The recordings that the project ships: made by the commands that `feeds/README.md` tells, small,
//! and what their digests say.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::fs;
use std::path::Path;

use program::{broadtape, succeed};

/// Bytes that one of them may have.
const SMALL: u64 = 200_000;

/// The records of a compressed file, end to end, and how many there are.
fn records(path: &Path) -> (Vec<u8>, usize) {
    let file = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
    assert_eq!(&file[..4], b"DBN\x03");
    let metadata = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    let records = file[8 + metadata..].to_vec();
    let (mut at, mut count) = (0, 0);
    while at < records.len() {
        at += records[at] as usize * 4;
        count += 1;
    }
    (records, count)
}

#[test]
fn they_are_what_their_commands_make_and_their_digests_say() {
    let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("feeds");
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(feeds.join("README.md")).unwrap();
    let mut found = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("broadtape ")) {
        succeed(broadtape().current_dir(folder.path()).args(line.split(' ')));
        let name = line.split(' ').nth(2).unwrap();
        let shipped = feeds.join(name);
        let (made, count) = records(&folder.path().join(name));
        if shipped.exists() {
            assert!(records(&shipped).0 == made, "{name}: `broadtape {line}` makes another");
            assert!(fs::metadata(&shipped).unwrap().len() < SMALL, "{name} is small");
        }
        found.push(format!("{name} {count} {:08x}", crc32fast::hash(&made)));
    }
    let digests = fs::read_to_string(feeds.join("digests.txt")).unwrap();
    let digests: Vec<&str> = digests.lines().filter(|line| line.contains(".dbn.zst ")).collect();
    assert_eq!(found.join("\n"), digests.join("\n"));
    let is_recording = |name: &String| name.ends_with(".dbn.zst");
    let names = fs::read_dir(&feeds).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(is_recording).count(), digests.len(), "each has its digest");
}
