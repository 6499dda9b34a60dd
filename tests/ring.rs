//! The ring from outside: threads that account for every record, laps, positions, random batches.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;

use broadtape::limits::{BLOCK_BYTES, CLAIM_BYTES, RECORD_MAX, RECORD_MIN, RING_MIN};
use broadtape::ring::{Reader, Ring, Segment, Writer, ring};
use proptest::prelude::*;

/// A bare record of `bytes` that tells `seq` in every word but the header's.
fn record(seq: u64, bytes: usize) -> Vec<u8> {
    let mut record = seq.to_le_bytes().repeat(bytes / 8);
    record[..8].fill(0);
    record[0] = (bytes / 4) as u8;
    record
}

/// Bytes of bare record `seq`: all lengths there are, in turn, some for many records.
fn bytes_of(seq: u64) -> usize {
    let lengths = (RECORD_MAX - RECORD_MIN) / 8 + 1;
    let length = if seq / 64 % 3 == 2 { seq / 64 } else { seq };
    RECORD_MIN - 8 + (length as usize * 7 % lengths) * 8
}

/// Bytes of published record `seq`.
fn published(seq: u64) -> usize {
    bytes_of(seq) + 8
}

/// `ts_out` of commit `n`.
fn ts_of(n: u64) -> u64 {
    1_000_000 + n * 10
}

/// Publishes `count` more records in one commit.
fn publish(writer: &mut Writer, count: u64, ts_out: u64) {
    let first = writer.newest() + 1;
    let records: Vec<_> = (first..first + count).map(|seq| record(seq, bytes_of(seq))).collect();
    let bytes = (first..first + count).map(published).sum();
    let newest = writer.publish_batch(bytes, records.iter().map(Vec::as_slice), ts_out);
    assert_eq!(newest, first + count - 1);
}

/// Panics where a published record is not number `seq`, whole.
fn check(published: &[u8], seq: u64) {
    let bytes = bytes_of(seq) + 8;
    assert_eq!((published.len(), published[0] as usize * 4), (bytes, bytes), "record {seq}");
    let (words, _) = published.as_chunks::<8>();
    let body = &words[1..words.len() - 1];
    assert!(body.iter().all(|word| u64::from_le_bytes(*word) == seq), "torn: record {seq}");
}

/// Reads once and checks it; returns how many records came and how many were lost before them.
fn read(reader: &mut Reader, segment: &mut Segment) -> (u64, u64) {
    let before = reader.seq();
    let lost = reader.read(segment).lost.map_or(0, |lost| {
        assert_eq!(lost.from_seq, before + 1);
        lost.to_seq - before
    });
    for (seq, bytes) in (before + lost + 1..).zip(segment.iter()) {
        check(bytes, seq);
    }
    assert_eq!(reader.seq(), before + lost + segment.len() as u64);
    (segment.len() as u64, lost)
}

/// Reads until there is no more; what came and what was lost.
fn drain(reader: &mut Reader, segment: &mut Segment) -> (u64, u64) {
    let mut sum = (0, 0);
    while reader.has_news() {
        let (got, lost) = read(reader, segment);
        sum = (sum.0 + got, sum.1 + lost);
    }
    sum
}

/// A smallest ring with `records` in it, three a commit.
fn filled(records: u64) -> (Writer, Ring) {
    let (mut writer, ring) = ring(RING_MIN).unwrap();
    for commit in 0..records / 3 {
        publish(&mut writer, 3, ts_of(commit));
    }
    (writer, ring)
}

#[test]
fn records_of_every_length_come_as_they_were_published() {
    let (mut writer, ring) = ring(RING_MIN).unwrap();
    let mut reader = ring.reader();
    let mut segment = Segment::new(2560);
    for commit in 0..2000 {
        publish(&mut writer, 1 + commit % 8, ts_of(commit));
        let (_, lost) = drain(&mut reader, &mut segment);
        assert_eq!((lost, reader.seq(), reader.lag_bytes()), (0, writer.newest(), 0));
    }
    assert!(ring.committed() > 20 * ring.capacity(), "it wrapped round");
}

#[test]
fn a_segment_ends_at_a_whole_record() {
    let (_writer, ring) = filled(150);
    let mut reader = ring.reader_after(0).unwrap();
    for bytes in (RECORD_MAX..=2 * RECORD_MAX).step_by(16) {
        let before = reader.position();
        let mut segment = Segment::new(bytes);
        let (got, lost) = read(&mut reader, &mut segment);
        assert!(got > 0 && lost == 0 && reader.position() - before <= bytes as u64);
        assert_eq!(segment.iter().collect::<Vec<_>>().concat(), segment.bytes());
        assert_eq!(segment.bytes().len() as u64, reader.position() - before);
    }
}

/// Reads until `done`, and what is left then; what came and what was lost.
fn read_beside(mut reader: Reader, bytes: usize, done: &AtomicBool) -> (u64, u64) {
    let mut segment = Segment::new(bytes);
    let mut sum = (0, 0);
    loop {
        let last_round = done.load(Acquire);
        let (got, lost) = drain(&mut reader, &mut segment);
        sum = (sum.0 + got, sum.1 + lost);
        if last_round {
            return sum;
        }
        thread::yield_now();
    }
}

#[test]
fn threads_account_for_every_record() {
    let (mut writer, ring) = ring(RING_MIN).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let readers = [1000, 6000, 200_000].map(|bytes| {
        let (reader, done) = (ring.reader(), done.clone());
        thread::spawn(move || read_beside(reader, bytes, &done))
    });
    for commit in 0..60_000 {
        publish(&mut writer, 1 + commit % 16, ts_of(commit));
        if commit % 61 < 3 {
            thread::yield_now();
        }
    }
    done.store(true, Release);
    for reader in readers {
        let (got, lost) = reader.join().unwrap();
        assert_eq!(got + lost, writer.newest());
        assert!(got > 0);
    }
}

#[test]
fn a_lapped_reader_goes_on_at_the_oldest_record() {
    let (mut writer, ring) = filled(30);
    let mut reader = ring.reader();
    let mut other = reader.clone();
    for commit in 10..1000 {
        publish(&mut writer, 3, ts_of(commit));
    }
    let mut segment = Segment::new(4096);
    let (got, lost) = read(&mut reader, &mut segment);
    assert_eq!(segment.first_seq(), Some(ring.oldest()));
    assert_eq!((lost, got > 0), (ring.oldest() - 31, true));
    let kept = writer.newest() - ring.oldest() + 1;
    assert_eq!(drain(&mut other, &mut segment), (kept, ring.oldest() - 31));
}

#[test]
fn a_reader_joins_after_every_number_that_is_held() {
    for records in [0, 3, 300, 3000] {
        let (_writer, ring) = filled(records);
        let (oldest, newest) = (ring.oldest(), ring.newest());
        assert_eq!(newest, records);
        let mut segment = Segment::new(RECORD_MAX);
        for seq in 0..=newest + 2 {
            match ring.reader_after(seq) {
                Ok(mut reader) => {
                    assert!(seq + 1 >= oldest && seq <= newest && reader.seq() == seq);
                    assert_eq!(read(&mut reader, &mut segment).0 > 0, seq < newest);
                }
                Err(gone) => {
                    assert!(seq + 1 < oldest || seq > newest, "{seq}: {gone}");
                    assert_eq!((gone.oldest, gone.newest), (oldest, newest));
                }
            }
        }
        assert!(ring.reader_after(u64::MAX).is_err());
    }
}

#[test]
fn a_reader_joins_at_every_time_that_is_held() {
    for records in [3, 300, 3000] {
        let (_writer, ring) = filled(records);
        let oldest = ring.oldest();
        for commit in 0..records / 3 {
            let first = commit * 3 + 1;
            for ts_out in [ts_of(commit) - 1, ts_of(commit)] {
                match ring.reader_at_time(ts_out) {
                    Ok(reader) => assert_eq!(reader.seq() + 1, first),
                    Err(gone) => assert!(first <= oldest && oldest > 1, "{first}: {gone}"),
                }
            }
        }
        assert_eq!(ring.reader_at_time(u64::MAX).unwrap().seq(), ring.newest());
    }
    assert_eq!(filled(0).1.reader_at_time(5).unwrap().seq(), 0);
}

#[test]
fn positions_are_found_under_a_running_writer() {
    let (mut writer, ring) = filled(3000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut segment = Segment::new(4096);
            let mut found = 0;
            while !done.load(Relaxed) || found == 0 {
                let seq = (ring.oldest() + ring.newest()) / 2;
                let Ok(mut reader) = ring.reader_after(seq) else { continue };
                assert_eq!(reader.seq(), seq);
                let (got, lost) = read(&mut reader, &mut segment);
                assert!(got + lost > 0);
                found += 1;
            }
        });
        for commit in 1000..30_000 {
            publish(&mut writer, 1 + commit % 5, ts_of(commit));
        }
        done.store(true, Relaxed);
    });
}

/// However full the ring is and wherever in a block its end lies: nothing is lost of what no block
/// has lost, and every place is found.
#[test]
fn all_that_is_retained_is_found() {
    let (mut writer, ring) = filled(0);
    let (mut end, mut held) = (0, 0);
    for commit in 0..900 {
        publish(&mut writer, 1, ts_of(commit));
        let (oldest, newest) = (ring.oldest(), ring.newest());
        assert_eq!(newest, commit + 1);
        let mut reader = ring.reader_after(oldest - 1).unwrap();
        end = end.max(reader.position());
        assert_eq!(end, reader.position(), "the oldest never goes back");
        held = ring.committed() - end;
        assert_eq!(drain(&mut reader, &mut Segment::new(RECORD_MAX)), (newest + 1 - oldest, 0));
        assert_eq!(ring.reader_at_time(ts_of(newest - 1)).unwrap().seq(), newest - 1);
        assert_eq!(ring.reader_at_time(ts_of(newest)).unwrap().seq(), newest);
    }
    let least = ring.capacity() - CLAIM_BYTES - BLOCK_BYTES - RECORD_MAX as u64;
    assert!(end > 0 && (least..=ring.capacity()).contains(&held), "{held} bytes held");
}

#[test]
fn ts_out_never_decreases() {
    let (mut writer, ring) = ring(RING_MIN).unwrap();
    let mut reader = ring.reader();
    [50, 40, 60].into_iter().for_each(|ts_out| publish(&mut writer, 1, ts_out));
    let mut segment = Segment::new(4096);
    let _ = reader.read(&mut segment);
    let ts_out = |bytes: &[u8]| bytes[bytes.len() - 8];
    assert_eq!(segment.iter().map(ts_out).collect::<Vec<_>>(), [50, 50, 60]);
}

#[test]
fn sizes_out_of_bounds_say_what_would_be_right() {
    let error = ring(RING_MIN - 1).err().unwrap().to_string();
    assert!(error.contains("65535 bytes") && error.contains("65536 to"), "{error}");
    assert_eq!(ring(RING_MIN + 1).unwrap().1.capacity(), 131_072);
}

#[test]
#[should_panic(expected = "takes more bytes than were claimed")]
fn records_beyond_the_claim_are_refused() {
    let (mut writer, _ring) = ring(RING_MIN).unwrap();
    writer.publish_batch(80, [&record(1, 80)[..]].into_iter(), 1);
}

#[test]
#[should_panic(expected = "the ring takes 16384 at once")]
fn a_batch_is_a_share_of_the_ring() {
    let (mut writer, _ring) = ring(RING_MIN).unwrap();
    writer.publish_batch(16_385, std::iter::empty(), 1);
}

#[test]
#[should_panic(expected = "no DBN record")]
fn a_record_whose_header_miscounts_is_refused() {
    let (mut writer, _ring) = ring(RING_MIN).unwrap();
    writer.publish(&[9; 80], 1);
}

/// One step of a random run: records in the batch, bytes claimed beyond them, reads after it.
fn step() -> impl Strategy<Value = (u64, usize, usize)> {
    let reads = prop_oneof![6 => Just(0), 1 => 1_usize..4];
    (0_u64..20, prop_oneof![Just(0), 1_usize..600], reads)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the batches and whenever it reads: a reader's records and what it lost are what was
    /// written, and it loses only what the ring no longer holds.
    #[test]
    fn what_came_and_what_was_lost_is_all_there_was(
        steps in prop::collection::vec(step(), 1..300),
        room in RECORD_MAX..12_800,
    ) {
        let (mut writer, ring) = ring(RING_MIN).unwrap();
        let (mut reader, mut segment) = (ring.reader(), Segment::new(room));
        let (mut written, mut accounted) = (Vec::new(), 0);
        for (ts_out, (count, unused, reads)) in (1_u64..).zip(steps) {
            let seqs = writer.newest() + 1..writer.newest() + 1 + count;
            let batch: Vec<_> = seqs.clone().map(|seq| record(seq, bytes_of(seq))).collect();
            let bytes = seqs.map(published).sum::<usize>() + unused;
            writer.publish_batch(bytes, batch.iter().map(Vec::as_slice), ts_out);
            written.extend(batch.into_iter().map(|bare| (bare, ts_out)));
            for _ in 0..reads {
                let lost = reader.read(&mut segment).lost;
                if let Some(lost) = lost {
                    prop_assert_eq!(lost.from_seq, accounted + 1);
                    prop_assert_eq!(lost.to_seq + 1, ring.oldest());
                    accounted = lost.to_seq;
                }
                for (index, bytes) in segment.iter().enumerate() {
                    let (bare, ts_out) = &written[accounted as usize];
                    accounted += 1;
                    prop_assert_eq!(segment.seq(index), accounted);
                    prop_assert_eq!(&bytes[1..bare.len()], &bare[1..]);
                    prop_assert_eq!(&bytes[bare.len()..], ts_out.to_le_bytes());
                }
                prop_assert_eq!(reader.seq(), accounted);
            }
        }
        let (got, lost) = drain(&mut reader, &mut segment);
        prop_assert_eq!(accounted + got + lost, written.len() as u64);
    }
}
