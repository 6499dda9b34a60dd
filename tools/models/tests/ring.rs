//! Models of reading under a running writer: no record torn, out of order or lost unnoticed.

use loom::thread;
use models::limits::SLOT_BYTES;
use models::ring::{Reader, Ring, Segment, Writer, ring};
use models::{check, record, ts_out};

/// Slots of record `seq`, by the pattern of a model.
type Shape = fn(u64) -> usize;

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn ring_of(slots: usize) -> (Writer, Ring) {
    ring(slots * SLOT_BYTES).unwrap()
}

/// Publishes the records of `seqs`, each in a commit of its own.
fn publish(writer: &mut Writer, seqs: std::ops::RangeInclusive<u64>, shape: Shape) {
    for seq in seqs {
        let bare = record(seq, shape(seq));
        assert_eq!(writer.publish(shape(seq), [&bare[..]].into_iter(), ts_out(seq)), seq);
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
        assert_eq!(segment.seq(index), seq);
        check(bytes, seq, shape(seq));
    }
    (segment.len() as u64, lost)
}

/// A reader beside a writer that laps it: what it got and what it lost are all there was.
fn lapped(slots: usize, last: u64, reads: usize, shape: Shape) {
    let (mut writer, ring) = ring_of(slots);
    let mut reader = ring.reader();
    let beside = thread::spawn(move || publish(&mut writer, 1..=last, shape));
    let mut segment = Segment::new(slots);
    let mut counted = 0;
    for _ in 0..reads {
        let (got, lost) = read(&mut reader, &mut segment, shape);
        counted += got + lost;
    }
    beside.join().unwrap();
    while reader.has_news() {
        let (got, lost) = read(&mut reader, &mut segment, shape);
        assert!(got + lost > 0, "news without progress");
        counted += got + lost;
    }
    assert_eq!((counted, reader.seq(), reader.lag_slots()), (last, last, 0));
}

#[test]
fn records_of_one_slot() {
    model(4, || lapped(4, 6, 1, |_| 1));
}

#[test]
fn records_of_one_and_two_slots() {
    model(4, || lapped(4, 4, 1, |seq| 1 + seq as usize % 2));
}

#[test]
fn records_of_two_and_three_slots() {
    model(2, || lapped(8, 5, 1, |seq| 2 + seq as usize % 2));
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    model(3, || {
        let (mut writer, ring) = ring_of(4);
        let mut reader = ring.reader();
        publish(&mut writer, 1..=3, |_| 1);
        let beside = thread::spawn(move || {
            let (four, five) = (record(4, 1), record(5, 1));
            writer.publish(2, [&four[..], &five[..]].into_iter(), ts_out(4));
        });
        let mut segment = Segment::new(4);
        let _ = reader.read(&mut segment);
        assert!([3, 5].contains(&reader.seq()), "half a batch: up to {}", reader.seq());
        beside.join().unwrap();
    });
}

#[test]
fn a_reader_joins_after_a_number_under_a_running_writer() {
    model(2, || {
        let (mut writer, ring) = ring_of(4);
        publish(&mut writer, 1..=3, |_| 1);
        let beside = thread::spawn(move || publish(&mut writer, 4..=6, |_| 1));
        let mut segment = Segment::new(4);
        match ring.reader_after(2) {
            Ok(mut reader) => {
                assert_eq!(reader.seq(), 2);
                let (got, lost) = read(&mut reader, &mut segment, |_| 1);
                assert!(got + lost > 0, "record 3 is committed");
            }
            Err(gone) => assert!(gone.oldest > 3 && gone.newest >= gone.oldest, "{gone:?}"),
        }
        beside.join().unwrap();
        assert_eq!((ring.oldest(), ring.newest()), (3, 6));
        assert!(ring.reader_after(6).is_ok() && ring.reader_after(7).is_err());
    });
}

#[test]
fn the_newest_number_is_never_one_that_is_not_committed() {
    model(3, || {
        let (mut writer, ring) = ring_of(4);
        publish(&mut writer, 1..=3, |_| 1);
        let beside = thread::spawn(move || publish(&mut writer, 4..=5, |_| 2));
        let newest = ring.newest();
        assert!((3..=5).contains(&newest));
        let mut reader = ring.reader();
        assert!(reader.seq() >= newest);
        let (got, lost) = read(&mut reader, &mut Segment::new(4), |seq| 1 + (seq > 3) as usize);
        assert!(got + lost <= 2);
        beside.join().unwrap();
    });
}
