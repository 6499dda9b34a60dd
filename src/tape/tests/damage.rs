//! Files cut at every byte and flipped at every bit: what is whole is read, what is not is named,
//! and no record that was not written comes out.

use proptest::prelude::*;

use super::*;

/// The offsets at which the frames of a segment end, and the last number before each.
fn ends(path: &Path) -> Vec<(usize, u64)> {
    let bytes = fs::read(path).unwrap();
    let mut at = super::super::layout::SEGMENT_HEAD;
    let mut ends = vec![(at, 0)];
    while let Some(head) = super::super::layout::Head::parse(&bytes[at..]) {
        at += head.frame_len() as usize;
        ends.push((at, head.last_seq()));
    }
    ends
}

/// One small segment: its bytes, and where its frames end.
fn sample(sealed: bool, compress: bool) -> (Vec<u8>, Vec<(usize, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = segment(folder.path(), 0, &[1..=2, 3..=3, 6..=8], compress);
    if sealed {
        writer.seal(Some(8)).unwrap();
    }
    let path = only_file(folder.path());
    (fs::read(&path).unwrap(), ends(&path))
}

const TRUTH: [u64; 6] = [1, 2, 3, 6, 7, 8];

fn upto(last: u64) -> Vec<u64> {
    TRUTH.into_iter().filter(|seq| *seq <= last).collect()
}

#[test]
fn cut_at_every_byte_the_whole_blocks_are_left() {
    for (sealed, compress) in [(false, false), (true, true)] {
        let (bytes, ends) = sample(sealed, compress);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000000000000000001.tape");
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = ends.iter().rev().find(|(end, _)| *end <= cut);
            let Some((_, last)) = whole else {
                assert!(matches!(Tape::open(folder.path()), Err(TapeError::Empty(_))), "{cut}");
                continue;
            };
            let tape = open(folder.path());
            assert!(tape.damage().is_empty(), "cut at {cut}: {:?}", tape.damage());
            assert_eq!(tape.last_seq(), *last, "cut at {cut}");
            let (blocks, error) = read(&mut tape.cursor_after(0).unwrap());
            assert!(error.is_none(), "cut at {cut}: {error:?}");
            assert_eq!(numbers(&blocks), upto(*last), "cut at {cut}");
        }
    }
}

#[test]
fn any_bit_flipped_is_seen_and_costs_its_block_alone() {
    for (sealed, compress) in [(false, false), (true, true)] {
        let (bytes, ends) = sample(sealed, compress);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000000000000000001.tape");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            // The last number before the frame that was hit, and the last in it.
            let at = ends.iter().position(|(end, _)| bit / 8 < *end);
            let last = at.map_or(8, |at| if at == 0 { 0 } else { ends[at - 1].1 });
            let hit_last = at.map_or(8, |at| ends[at].1);
            let tape = match Tape::open(folder.path()) {
                Ok(tape) => tape,
                Err(error) => panic!("bit {bit}: {error}"),
            };
            let (blocks, error) = read(&mut tape.cursor_after(0).unwrap());
            assert_eq!(numbers(&blocks), upto(last), "bit {bit}");
            let more = at.is_some_and(|at| at + 1 < ends.len());
            assert_eq!(error.is_some(), more, "bit {bit}: {error:?}");
            let whole = Tape::salvage(folder.path()).unwrap();
            let (blocks, error) = read(&mut whole.cursor_after(0).unwrap());
            assert!(error.is_none(), "bit {bit}: {error:?}");
            let rest: Vec<u64> =
                TRUTH.into_iter().filter(|seq| *seq <= last || *seq > hit_last).collect();
            assert_eq!(numbers(&blocks), rest, "bit {bit}");
        }
    }
}

#[test]
fn what_is_lost_is_named() {
    let (mut bytes, ends) = sample(false, false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00000000000000000001.tape");
    bytes[ends[3].0 - 9] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let tape = open(folder.path());
    let (_, error) = read(&mut tape.cursor_after(0).unwrap());
    let text = error.unwrap().to_string();
    assert_eq!(tape.damage().len(), 1);
    assert!(text.contains("a block fails its checksum; lost: record 3, published"), "{text}");
    assert!(text.contains("at byte ") && text.contains("--salvage"), "{text}");
    // Who wants only what comes after it is not concerned.
    assert!(tape.cursor_after(3).is_ok());
    assert_eq!(tape.last_seq(), 2);
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    segment(folder.path(), 0, &[1..=4], false).seal(None).unwrap();
    let mut gone = segment(folder.path(), 4, &[5..=8], false);
    gone.seal(None).unwrap();
    segment(folder.path(), 8, &[9..=12], false).seal(None).unwrap();
    fs::remove_file(gone.path).unwrap();
    let tape = open(folder.path());
    assert_eq!((tape.last_seq(), tape.damage().len()), (4, 1));
    let lost = tape.damage()[0].lost;
    assert_eq!((lost.from_seq, lost.to_seq, lost.after, lost.before), (5, 8, 4000, 9000));
    let (blocks, error) = read(&mut tape.cursor_after(0).unwrap());
    assert_eq!(numbers(&blocks), [1, 2, 3, 4]);
    assert!(matches!(error, Some(TapeError::Damaged(_))), "{error:?}");
    let whole = Tape::salvage(folder.path()).unwrap();
    assert_eq!(whole.last_seq(), 12);
    let (blocks, error) = read(&mut whole.cursor_after(0).unwrap());
    assert!(error.is_none());
    assert_eq!(numbers(&blocks), [1, 2, 3, 4, 9, 10, 11, 12]);
}

#[test]
fn two_tapes_in_one_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    segment(folder.path(), 0, &[1..=4], false).seal(None).unwrap();
    let opening = Opening { epoch: 8, first_seq: 5, prev_seq: 4, created: 6, compress: false };
    drop(SegmentWriter::create(&Files, folder.path(), &opening).unwrap());
    assert!(matches!(Tape::open(folder.path()), Err(TapeError::Mixed { found: 8, .. })));
}

/// One change to a file.
#[derive(Clone, Debug)]
enum Change {
    Cut(prop::sample::Index),
    Overwrite(prop::sample::Index, Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
    /// A part of it once more, elsewhere.
    Repeat(prop::sample::Index, prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Change::Cut),
        (any::<prop::sample::Index>(), bytes()).prop_map(|(at, b)| Change::Overwrite(at, b)),
        (any::<prop::sample::Index>(), bytes()).prop_map(|(at, b)| Change::Insert(at, b)),
        any::<[prop::sample::Index; 3]>().prop_map(|[a, b, c]| Change::Repeat(a, b, c)),
    ]
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        let len = bytes.len() + 1;
        match self {
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Overwrite(at, new) => {
                bytes.iter_mut().skip(at.index(len)).zip(new).for_each(|(old, new)| *old = new);
            }
            Self::Insert(at, new) => drop(bytes.splice(at.index(len)..at.index(len), new)),
            Self::Repeat(from, to, at) => {
                let (from, to) = (from.index(len), to.index(len));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                drop(bytes.splice(at.index(len)..at.index(len), part));
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_done_to_a_file_no_other_record_comes_out(
        compress in any::<bool>(),
        sealed in any::<bool>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let (mut bytes, _) = sample(sealed, compress);
        changes.into_iter().for_each(|change| change.apply(&mut bytes));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("00000000000000000001.tape"), &bytes).unwrap();
        for tape in [Tape::open(folder.path()), Tape::salvage(folder.path())] {
            let Ok(tape) = tape else { continue };
            // Where its beginning can't be read, nobody knows that it began with the first number.
            let Ok(mut cursor) = tape.cursor_after(tape.first_seq().saturating_sub(1)) else {
                continue;
            };
            let (blocks, _) = read(&mut cursor);
            prop_assert!(numbers(&blocks).iter().all(|seq| TRUTH.contains(seq)));
            let _ = (tape.instruments(), tape.definitions_at(1), tape.contents());
        }
        let _ = crate::tape::verify(folder.path(), |_, _| {});
    }
}
