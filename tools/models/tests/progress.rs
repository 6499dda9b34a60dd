//! Models of what readers export: a feed that waits for it loses nothing, and whoever sees a number
//! sees what was true when it was stored.

use loom::thread;
use models::ring::{Progresses, Reader, Segment, Writer, ring};
use models::{check, limits, record, ts_out};

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn publish(writer: &mut Writer, seq: u64) {
    writer.publish(&record(seq, 2), ts_out(seq));
}

/// Reads what there is, and says so; its unsent bytes are said to be as many as it has read.
fn turn(reader: &mut Reader, segment: &mut Segment, progress: &Progresses) {
    assert!(reader.read(segment).lost.is_none(), "lapped though the writer waits");
    for (index, published) in segment.iter().enumerate() {
        check(published, segment.seq(index), 2);
    }
    progress.of(0).advance(reader, reader.seq());
}

/// A writer that publishes only where every reader has made room for what it claims at once, as a
/// feed without a pace does, overtakes none of them.
#[test]
fn a_feed_that_waits_overtakes_nobody() {
    model(2, || {
        let (mut writer, ring) = ring(limits::RING_MIN).unwrap();
        let (mut reader, progress) = (ring.reader(), Progresses::new(1));
        let theirs = progress.clone();
        let reading = thread::spawn(move || {
            let mut segment = Segment::new(limits::RECORD_MAX);
            (0..3).for_each(|_| turn(&mut reader, &mut segment, &theirs));
        });
        for _ in 0..6 {
            let ahead = writer.committed() - progress.slowest_read();
            if ahead + limits::CLAIM_BYTES <= limits::RING_MIN as u64 {
                let seq = writer.newest() + 1;
                publish(&mut writer, seq);
            }
        }
        reading.join().unwrap();
    });
}

/// Who sees how far a reader has come sees its queue and its number of then, or newer ones.
#[test]
fn a_position_is_seen_with_its_queue() {
    model(3, || {
        let (mut writer, ring) = ring(limits::RING_MIN).unwrap();
        let (mut reader, progress) = (ring.reader(), Progresses::new(1));
        let theirs = progress.clone();
        let reading = thread::spawn(move || {
            let mut segment = Segment::new(limits::RECORD_MAX);
            (0..2).for_each(|_| turn(&mut reader, &mut segment, &theirs));
        });
        (1..=2).for_each(|seq| publish(&mut writer, seq));
        let of = progress.of(0);
        // Records of 16 bytes.
        let read = of.read() / 16;
        assert!(of.read_seq() >= read && of.queued() >= read, "a position without its queue");
        reading.join().unwrap();
    });
}

/// Who sees that a connection subscribes sees that one ever did, and no count goes below nothing.
#[test]
fn subscribers_are_counted_on_every_shard() {
    model(4, || {
        let progress = Progresses::new(2);
        let shards: Vec<_> = (0..2)
            .map(|id| {
                let progress = progress.clone();
                thread::spawn(move || {
                    progress.of(id).join();
                    progress.of(id).leave();
                })
            })
            .collect();
        let (now, ever) = (progress.subscribers(), progress.subscribed());
        assert!(now <= ever && ever <= 2, "{now} of {ever}");
        shards.into_iter().for_each(|shard| shard.join().unwrap());
        assert_eq!((progress.subscribers(), progress.subscribed()), (0, 2));
    });
}
