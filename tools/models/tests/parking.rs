//! Models of sleeping and waking: whatever is committed, nobody sleeps through it.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;
use models::ring::{Reader, Segment, Waits, Wake, Writer, ring};
use models::{limits, record, ts_out};

/// Like an eventfd: a wake-up before the sleep ends it at once.
#[derive(Default)]
struct Event {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Event {
    fn wait(&self) {
        let mut set = self.set.lock().unwrap();
        while !*set {
            set = self.changed.wait(set).unwrap();
        }
        *set = false;
    }
}

impl Wake for Event {
    fn wake(&self) {
        *self.set.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// Reads up to record `last`, asleep whenever there is nothing. Loom calls a sleep that nobody ends
/// a deadlock.
fn read_until(last: u64, mut reader: Reader, waits: &Arc<Waits>, id: usize, event: &Event) {
    let mut segment = Segment::new(limits::RECORD_MAX);
    while reader.seq() < last {
        let _ = reader.read(&mut segment);
        if segment.is_empty() {
            let parked = waits.park(id, || reader.has_news());
            if parked.is_some() {
                event.wait();
            }
        }
    }
}

fn publish(writer: &mut Writer, last: u64) {
    for seq in 1..=last {
        writer.publish(&record(seq, 2), ts_out(seq));
    }
}

/// `readers` of them read `last` commits, under at most so many preemptions.
fn model(readers: usize, last: u64, preemptions: usize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let (mut writer, ring) = ring(limits::RING_MIN).unwrap();
        let threads: Vec<_> = (0..readers)
            .map(|id| {
                let (reader, waits) = (ring.reader(), ring.waits().clone());
                let event = Arc::new(Event::default());
                waits.register(id, event.clone());
                thread::spawn(move || read_until(last, reader, &waits, id, &event))
            })
            .collect();
        publish(&mut writer, last);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn one_reader_sleeps_through_nothing() {
    model(1, 3, 4);
}

#[test]
fn two_readers_wake_one_another() {
    model(2, 1, 4);
}

#[test]
fn a_chain_under_way_and_a_second_commit() {
    model(2, 2, 3);
}
