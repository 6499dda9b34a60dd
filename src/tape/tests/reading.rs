//! What is written comes back, from every position, while it is written and afterwards.

use super::*;

#[test]
fn a_cursor_begins_at_every_position() {
    for (compress, sealed) in [(false, false), (true, false), (false, true), (true, true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = segment(folder.path(), 0, &[1..=4, 5..=5, 6..=20], compress);
        first.seal(None).unwrap();
        let mut second = segment(folder.path(), 20, &[21..=30, 41..=50], compress);
        if sealed {
            second.seal(Some(50)).unwrap();
        }
        let tape = open(folder.path());
        assert_eq!((tape.epoch(), tape.first_seq(), tape.last_seq()), (EPOCH, 1, 50));
        assert_eq!((tape.first_time(), tape.last_time()), (Some(1000), Some(50_000)));
        assert_eq!(tape.index_times(), Some((950, 47_500)));
        assert_eq!(tape.records(), 40);
        let truth: Vec<u64> = (1..=30).chain(41..=50).collect();
        for seq in 0..=50 {
            let (blocks, error) = read(&mut tape.cursor_after(seq).unwrap());
            assert!(error.is_none());
            let expected: Vec<u64> = truth.iter().copied().filter(|n| *n > seq).collect();
            assert_eq!(numbers(&blocks), expected, "after {seq}");
            let time = 1000 * seq + 1;
            let (blocks, _) = read(&mut tape.cursor_at_time(time).unwrap());
            assert_eq!(numbers(&blocks), expected, "at {time}");
        }
    }
}

#[test]
fn a_cursor_follows_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = segment(folder.path(), 0, &[], false);
    let tape = open(folder.path());
    assert_eq!((tape.first_seq(), tape.last_seq(), tape.last_time()), (1, 0, None));
    let mut cursor = tape.cursor_after(0).unwrap();
    let mut ahead = tape.cursor_after(4).unwrap();
    assert!(cursor.next_block().unwrap().is_none());
    writer.block(1, &records(1..=3)).unwrap();
    writer.block(4, &records(4..=6)).unwrap();
    let (blocks, _) = read(&mut cursor);
    assert_eq!(numbers(&blocks), [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(&read(&mut ahead).0), [5, 6]);
    writer.seal(None).unwrap();
    assert!(cursor.next_block().unwrap().is_none());
    let writer = segment(folder.path(), 6, &[9..=10], true);
    assert_eq!(cursor.expected(), 7);
    assert_eq!(numbers(&read(&mut cursor).0), [9, 10]);
    assert_eq!(numbers(&read(&mut ahead).0), [9, 10]);
    drop(writer);
    let mut tape = tape;
    tape.refresh().unwrap();
    assert_eq!((tape.first_seq(), tape.last_seq(), tape.records()), (1, 10, 8));
}

#[test]
fn what_was_removed_is_not_retained() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = segment(folder.path(), 0, &[1..=4], false);
    first.seal(None).unwrap();
    segment(folder.path(), 4, &[5..=8], false).seal(None).unwrap();
    let tape = open(folder.path());
    let mut slow = tape.cursor_after(0).unwrap();
    fs::remove_file(first.path).unwrap();
    let tape = open(folder.path());
    let gone = tape.cursor_after(3).unwrap_err();
    assert!(matches!(gone, TapeError::NotRetained { oldest: 5, newest: 8 }), "{gone}");
    assert!(matches!(tape.cursor_at_time(4999), Err(TapeError::NotRetained { .. })));
    assert_eq!(numbers(&read(&mut tape.cursor_after(4).unwrap()).0), [5, 6, 7, 8]);
    assert_eq!(numbers(&read(&mut slow).0), [1, 2, 3, 4, 5, 6, 7, 8], "it had the file open");
}

#[test]
fn what_a_newer_segment_takes_back_is_void() {
    let folder = tempfile::tempdir().unwrap();
    drop(segment(folder.path(), 0, &[1..=4, 5..=8, 9..=12], false));
    let mut early = open(folder.path()).cursor_after(0).unwrap();
    let (blocks, _) = read(&mut early);
    assert_eq!(blocks.len(), 3);
    // The disk failed after 8 had been synced: 9 to 12 never counted.
    drop(segment(folder.path(), 8, &[11..=20], false));
    let tape = open(folder.path());
    assert!(tape.damage().is_empty());
    assert_eq!((tape.last_seq(), tape.records()), (20, 18));
    let (blocks, error) = read(&mut tape.cursor_after(0).unwrap());
    assert!(error.is_none());
    assert_eq!(numbers(&blocks), (1..=8).chain(11..=20).collect::<Vec<_>>());
    let (blocks, error) = read(&mut early);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(numbers(&blocks), [13, 14, 15, 16, 17, 18, 19, 20], "no number is given twice");
}

#[test]
fn instruments_are_those_of_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = segment(folder.path(), 0, &[1..=4], false);
    first.instruments(&[instrument(9, "late")]).unwrap();
    first.definitions([record(1).as_slice()]).unwrap();
    first.block(5, &records(5..=8)).unwrap();
    first.seal(None).unwrap();
    let opening = Opening { epoch: EPOCH, first_seq: 9, prev_seq: 8, created: 6, compress: true };
    let mut second = SegmentWriter::create(&Files, folder.path(), &opening).unwrap();
    second.instruments(&[instrument(0, "other")]).unwrap();
    second.block(9, &records(9..=9)).unwrap();
    let tape = open(folder.path());
    let names = |seq| {
        let all = tape.instruments_at(seq).unwrap();
        all.into_iter().map(|one| one.symbol).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        (names(1), names(4), names(5)),
        ("A B C".into(), "A B C".into(), "A B C late".into())
    );
    assert_eq!(names(9), "other");
    assert_eq!(tape.instruments().unwrap()[0].schemas, 1 << 1, "what its records are of");
    assert_eq!(tape.definitions_at(1).unwrap(), [record(1)]);
    assert_eq!(tape.contents().len(), 3);
}
