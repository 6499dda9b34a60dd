//! What verify finds, and what repair makes of it.

use super::world::recorded;
use super::*;
use crate::tape::{repair, verify};

/// Three segments: sealed with a hole, sealed, and cut off by a crash.
fn tape(folder: &Path) {
    segment(folder, 0, &[1..=4, 7..=8], true).seal(None).unwrap();
    segment(folder, 8, &[9..=12, 13..=16, 17..=20], false).seal(None).unwrap();
    drop(segment(folder, 20, &[21..=24, 25..=28], false));
    let last = folder.join("00000000000000000021.tape");
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 5]).unwrap();
}

#[test]
fn a_crash_is_no_damage_and_a_hole_is_told() {
    let folder = tempfile::tempdir().unwrap();
    tape(folder.path());
    let report = verify(folder.path(), |_, _| {}).unwrap();
    assert!(report.damage.is_empty(), "{:?}", report.damage);
    assert_eq!((report.records, report.seqs, report.times), (22, Some((1, 24)), (1000, 24_000)));
    let hole = (report.holes[0].from_seq, report.holes[0].to_seq);
    assert_eq!((hole, report.holes_total), ((5, 6), 1));
    let sealed: Vec<_> = report.segments.iter().map(|segment| segment.sealed).collect();
    assert_eq!(sealed, [true, true, false]);
    assert!(report.segments[2].tail.0 > 0);
    let copy = folder.path().join("copy");
    repair(folder.path(), &copy, false, |_, _| {}).unwrap();
    assert_eq!(recorded(&copy), recorded(folder.path()));
    let again = verify(&copy, |_, _| {}).unwrap();
    assert!(again.segments.iter().all(|segment| segment.sealed));
    assert_eq!((again.records, again.holes_total), (22, 1));
    assert_eq!(open(&copy).instruments().unwrap(), open(folder.path()).instruments().unwrap());
    assert_eq!((open(&copy).epoch(), open(&copy).published()), (EPOCH, None));
}

#[test]
fn damage_is_named_and_left_out_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    tape(folder.path());
    let path = folder.path().join("00000000000000000009.tape");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(4).rposition(|word| word == 15_000_u32.to_le_bytes()).unwrap();
    bytes[at] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let report = verify(folder.path(), |_, _| {}).unwrap();
    let lost = report.damage[0].lost;
    assert_eq!((report.damage.len(), report.lost()), (1, 4));
    assert_eq!((lost.from_seq, lost.to_seq, lost.after, lost.before), (13, 16, 12_000, 17_000));
    let copy = folder.path().join("copy");
    let refused = repair(folder.path(), &copy, false, |_, _| {}).unwrap_err();
    assert!(matches!(refused, TapeError::Damaged(_)) && !copy.exists());
    repair(folder.path(), &copy, true, |_, _| {}).unwrap();
    let rest: Vec<u64> = [1..=4, 7..=12, 17..=24].into_iter().flatten().collect();
    assert_eq!(recorded(&copy), rest);
    let existing = repair(folder.path(), &copy, true, |_, _| {}).unwrap_err();
    assert!(matches!(existing, TapeError::Io { .. }), "{existing}");
}

#[test]
fn one_segment_can_be_looked_at_alone() {
    let folder = tempfile::tempdir().unwrap();
    tape(folder.path());
    let path = folder.path().join("00000000000000000009.tape");
    let report = verify(&path, |_, _| {}).unwrap();
    assert_eq!((report.records, report.seqs), (12, Some((9, 20))));
    let other = folder.path().join("other");
    fs::write(&other, "something else").unwrap();
    assert!(matches!(verify(&other, |_, _| {}), Err(TapeError::Empty(_))));
    assert!(matches!(verify(&folder.path().join("none"), |_, _| {}), Err(TapeError::Io { .. })));
}
