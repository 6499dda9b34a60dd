//! Models of reading under a running writer: no record torn, out of order or lost unnoticed.

use loom::thread;
use models::limits::RING_MAX;
use models::ring::{Reader, Ring, Segment, Writer, ring};
use models::{check, record, ts_out};

/// Words of record `seq`, by the pattern of a model.
type Shape = fn(u64) -> usize;

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn ring_of(words: usize) -> (Writer, Ring) {
    ring(words * 8).unwrap()
}

/// Publishes the records of `seqs`, each in a commit of its own.
fn publish(writer: &mut Writer, seqs: std::ops::RangeInclusive<u64>, shape: Shape) {
    for seq in seqs {
        let bare = record(seq, shape(seq));
        assert_eq!(writer.publish(&bare, ts_out(seq)), seq);
    }
}

/// Reads once; returns how many records it got and how many it was told are lost.
fn read(reader: &mut Reader, segment: &mut Segment, shape: Shape) -> (u64, u64) {
    let before = reader.seq();
    let read = reader.read(segment);
    let lost = read.lost.map_or(0, |lost| {
        assert_eq!(lost.from_seq, before + 1);
        lost.to_seq - before
    });
    for (index, bytes) in segment.iter().enumerate() {
        let seq = before + lost + 1 + index as u64;
        assert_eq!(segment.seq(index), seq, "torn or out of order: a number");
        check(bytes, seq, shape(seq));
    }
    (segment.len() as u64, lost)
}

/// A reader beside a writer that laps it: what it got and what it lost are all there was.
fn lapped(words: usize, last: u64, reads: usize, shape: Shape) {
    let (mut writer, ring) = ring_of(words);
    let mut reader = ring.reader();
    let beside = thread::spawn(move || publish(&mut writer, 1..=last, shape));
    let mut segment = Segment::new(words * 8);
    let mut counted = 0;
    for _ in 0..reads {
        let (got, lost) = read(&mut reader, &mut segment, shape);
        counted += got + lost;
    }
    beside.join().unwrap();
    counted += finish(reader, last, shape);
    assert_eq!(counted, last);
}

/// Reads the rest, up to record `last`; returns how many records it got or lost.
fn finish(mut reader: Reader, last: u64, shape: Shape) -> u64 {
    let (mut segment, before) = (Segment::new(RING_MAX), reader.seq());
    while reader.has_news() {
        let (got, lost) = read(&mut reader, &mut segment, shape);
        assert!(got + lost > 0, "news without progress");
    }
    assert_eq!((reader.seq(), reader.lag_bytes()), (last, 0), "torn or out of order: the end");
    last - before
}

#[test]
fn records_of_two_words() {
    model(4, || lapped(8, 6, 1, |_| 2));
}

#[test]
fn records_of_two_and_three_words() {
    model(4, || lapped(8, 5, 1, |seq| 2 + seq as usize % 2));
}

#[test]
fn records_of_three_and_four_words() {
    model(2, || lapped(16, 6, 1, |seq| 3 + seq as usize % 2));
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    model(3, || {
        let (mut writer, ring) = ring_of(8);
        let mut reader = ring.reader();
        publish(&mut writer, 1..=3, |_| 2);
        let beside = thread::spawn(move || {
            let (four, five) = (record(4, 2), record(5, 2));
            writer.publish_batch(32, [&four[..], &five[..]].into_iter(), ts_out(4));
        });
        let mut segment = Segment::new(64);
        let _ = reader.read(&mut segment);
        assert!([3, 5].contains(&reader.seq()), "half a batch: up to {}", reader.seq());
        beside.join().unwrap();
    });
}

/// The first record, which it would go on from, is overwritten meanwhile by a longer one.
#[test]
fn a_reader_joins_after_a_number_under_a_running_writer() {
    let shape: Shape = |seq| 2 + (seq > 1) as usize;
    model(2, move || {
        let (mut writer, ring) = ring_of(8);
        publish(&mut writer, 1..=3, shape);
        let beside = thread::spawn(move || publish(&mut writer, 4..=4, shape));
        let joined = ring.reader_after(1);
        beside.join().unwrap();
        match joined {
            Ok(reader) => {
                assert_eq!(reader.seq(), 1);
                assert_eq!(finish(reader, 4, shape), 3);
            }
            Err(gone) => assert!(gone.oldest > 2 && gone.newest + 1 >= gone.oldest, "{gone:?}"),
        }
        assert_eq!((ring.oldest(), ring.newest()), (3, 4));
        assert!(ring.reader_after(4).is_ok() && ring.reader_after(5).is_err());
    });
}

#[test]
fn the_newest_number_is_never_one_that_is_not_committed() {
    let shape: Shape = |seq| 2 + (seq > 3) as usize;
    model(3, move || {
        let (mut writer, ring) = ring_of(8);
        publish(&mut writer, 1..=3, shape);
        let beside = thread::spawn(move || publish(&mut writer, 4..=5, shape));
        let newest = ring.newest();
        assert!((3..=5).contains(&newest), "torn or out of order: {newest} is the newest");
        let reader = ring.reader();
        assert!(reader.seq() >= newest);
        beside.join().unwrap();
        finish(reader, 5, shape);
    });
}
