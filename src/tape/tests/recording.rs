//! A recorder beside a feed: what it records, what it says where the disk fails, and that nothing
//! which counted as recorded is lost.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use proptest::prelude::*;

use super::world::{World, options, recorded};
use super::*;
use crate::tape::recorder::Durability;

const MODES: [Durability; 3] =
    [Durability::None, Durability::Interval(Duration::ZERO), Durability::Commit];

fn all(range: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn what_is_published_is_recorded() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(options(folder.path(), mode)).unwrap();
        for _ in 0..5 {
            world.publish(100);
            world.turn();
        }
        let synced = mode != Durability::None;
        world.turn_until(|world| {
            world.watermark.recorded() == 500 && (!synced || world.watermark.durable() == 500)
        });
        assert_eq!(recorded(folder.path()), all(1..=500));
        let status = world.watermark.status();
        assert_eq!((status.records, status.holes, status.lost, status.failures), (500, 0, 0, 0));
        assert_eq!(status.durable, if synced { 500 } else { 0 });
        world.finish(true);
        assert_eq!(open(folder.path()).published(), Some(500));
        assert_eq!(open(folder.path()).instruments().unwrap().len(), 3);
    }
}

#[test]
fn where_it_is_overtaken_the_hole_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(options(folder.path(), Durability::None)).unwrap();
    world.publish(100);
    world.turn();
    world.publish(2000);
    let oldest = world.ring.oldest();
    assert!(oldest > 101);
    world.turn();
    let expected: Vec<u64> = (1..=100).chain(oldest..=2100).collect();
    assert_eq!(recorded(folder.path()), expected);
    let status = world.watermark.status();
    assert_eq!((status.holes, status.lost), (1, oldest - 101));
    world.now += Duration::from_secs(2);
    world.turn();
    let (states, message) = world.told();
    assert_eq!(states, ["lapped"]);
    assert!(message.contains(&format!("101 to {}", oldest - 1)), "{message}");
}

#[test]
fn a_full_disk_interrupts_the_tape_and_nothing_else() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(options(folder.path(), mode)).unwrap();
        world.publish(100);
        world.turn();
        world.faults.room.store(1000, SeqCst);
        world.publish(50);
        world.turn();
        let failure = world.watermark.status().health.failure.unwrap();
        assert!(failure.contains("can't write") && failure.contains("streaming goes on"));
        world.publish(50);
        world.turn();
        assert_eq!(recorded(folder.path()), all(1..=100), "a partial block is none");
        world.now += Duration::from_secs(60);
        world.turn();
        assert!(world.watermark.status().health.failure.is_some(), "it is still full");
        world.faults.room.store(-1, SeqCst);
        world.now += Duration::from_secs(60);
        world.turn_until(|world| world.watermark.recorded() == 200);
        assert_eq!(recorded(folder.path()), all(1..=200), "the ring still had the rest");
        assert_eq!(
            world.told(),
            (vec!["failed", "resumed"], "recording again; nothing is missing".to_owned())
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "the lock, and two segments");
    }
}

#[test]
fn a_long_interruption_is_an_exact_hole() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(options(folder.path(), Durability::Commit)).unwrap();
    world.publish(10);
    world.turn_until(|world| world.watermark.recorded() == 10);
    world.faults.room.store(0, SeqCst);
    world.publish(10);
    world.turn();
    world.publish(5000);
    world.faults.room.store(-1, SeqCst);
    world.now += Duration::from_secs(60);
    let oldest = world.ring.oldest();
    world.turn_until(|world| world.watermark.recorded() == 5020);
    assert_eq!(recorded(folder.path()), (1..=10).chain(oldest..=5020).collect::<Vec<_>>());
    assert_eq!(world.watermark.status().lost, oldest - 11);
    let (states, message) = world.told();
    assert_eq!(states, ["failed", "resumed"]);
    assert!(message.contains(&format!("11 to {}", oldest - 1)), "{message}");
}

#[test]
fn after_a_failed_sync_the_file_is_left_alone() {
    for mode in [Durability::Interval(Duration::ZERO), Durability::Commit] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(options(folder.path(), mode)).unwrap();
        world.publish(10);
        world.turn_until(|world| world.watermark.durable() == 10);
        let before = world.faults.syncs.load(SeqCst);
        world.faults.sync_fails.store(true, SeqCst);
        world.publish(10);
        world.turn_until(|world| world.watermark.status().health.failure.is_some());
        assert_eq!(world.faults.syncs.load(SeqCst), before + 1, "it is never asked again");
        let failure = world.watermark.status().health.failure.unwrap();
        assert!(failure.contains("fdatasync"), "{failure}");
        assert_eq!(world.watermark.durable(), 10);
        for again in 2..5 {
            world.now += Duration::from_secs(60);
            world.turn_until(|world| world.faults.syncs.load(SeqCst) == before + again);
            world.turn();
            assert_eq!(world.told().0, ["failed"], "what was written may be lost once more");
            assert!(world.watermark.status().health.failure.is_some());
        }
        world.faults.sync_fails.store(false, SeqCst);
        world.now += Duration::from_secs(60);
        world.turn_until(|world| world.watermark.durable() == 20);
        assert_eq!(recorded(folder.path()), all(1..=20));
        let tape = open(folder.path());
        assert_eq!((tape.records(), tape.last_seq()), (20, 20), "nothing counts twice");
        assert_eq!(world.told().0, ["failed", "resumed"]);
        assert_eq!(world.watermark.status().failures, 1);
        world.publish(1);
        world.finish(true);
        assert_eq!(recorded(folder.path()), all(1..=21));
    }
}

#[test]
fn a_folder_that_is_gone_is_made_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tape");
    let mut world = World::new(options(&folder, Durability::None)).unwrap();
    world.publish(10);
    world.turn();
    fs::remove_dir_all(&folder).unwrap();
    world.publish(10);
    world.now += Duration::from_secs(2);
    world.turn();
    let failure = world.watermark.status().health.failure.unwrap();
    assert!(failure.contains("its file was removed"), "{failure}");
    world.now += Duration::from_secs(60);
    world.turn_until(|world| world.recorder.last_written() == 20);
    assert_eq!(recorded(&folder), all(1..=20), "the ring still had all of it");
    assert!(matches!(World::new(options(&folder, Durability::None)), Err(TapeError::Locked(_))));
}

#[test]
fn the_oldest_record_is_that_of_what_is_left() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tape");
    let mut options = options(&folder, Durability::None);
    options.segment_bytes = 4 << 10;
    let mut world = World::new(options).unwrap();
    for _ in 0..5 {
        world.publish(100);
        world.turn();
    }
    assert_eq!(world.watermark.status().oldest, 1);
    fs::remove_dir_all(&folder).unwrap();
    world.now += Duration::from_secs(2);
    world.turn();
    assert_eq!(world.watermark.status().size, 0);
    world.publish(2000);
    world.now += Duration::from_secs(60);
    world.turn_until(|world| world.recorder.last_written() == 2500);
    let (kept, oldest) = (recorded(&folder), world.watermark.status().oldest);
    assert_eq!(kept, all(oldest..=2500));
    assert!(oldest > 500, "the ring no longer had what the folder had: {oldest}");
}

#[test]
fn segments_end_by_size_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), Durability::Commit);
    options.segment_bytes = 4 << 10;
    options.retain_bytes = Some(20 << 10);
    let mut world = World::new(options).unwrap();
    for _ in 0..40 {
        world.publish(20);
        world.turn();
    }
    world.now += Duration::from_secs(2);
    world.turn_until(|world| world.watermark.recorded() == 800);
    let status = world.watermark.status();
    assert!(status.segments > 10 && status.size <= 20 << 10, "{status:?}");
    let kept = recorded(folder.path());
    assert_eq!(kept, all(status.oldest..=800));
    assert!(kept.len() < 300);
    let gone = open(folder.path()).cursor_after(0).unwrap_err();
    assert!(matches!(gone, TapeError::NotRetained { newest: 800, .. }), "{gone}");
}

#[test]
fn segments_end_by_time_and_go_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), Durability::None);
    options.segment_time = Duration::from_secs(10);
    // The records of these tests are from 1970.
    options.retain_time = Some(Duration::from_secs(3600));
    let mut world = World::new(options).unwrap();
    world.publish(20);
    world.turn();
    world.now += Duration::from_secs(11);
    world.turn();
    assert_eq!(world.watermark.status().segments, 2);
    world.now += Duration::from_secs(11);
    world.turn();
    assert_eq!(world.watermark.status().segments, 2, "an empty one goes on");
    world.publish(1);
    world.turn();
    assert_eq!(recorded(folder.path()), [21]);
}

/// What a feed and a disk do.
#[derive(Clone, Debug)]
enum Deed {
    Publish(u64),
    Turn,
    Wait,
    Room(i64),
    Sync(bool),
    Create(bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (1..700_u64).prop_map(Deed::Publish),
        6 => Just(Deed::Turn),
        2 => Just(Deed::Wait),
        1 => (0..30_000_i64).prop_map(Deed::Room),
        2 => Just(Deed::Room(-1)),
        1 => any::<bool>().prop_map(Deed::Sync),
        1 => any::<bool>().prop_map(Deed::Create),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_disk_does_the_tape_tells_the_truth(
        mode in prop::sample::select(&MODES[..]),
        compress in any::<bool>(),
        deeds in prop::collection::vec(deed(), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), mode);
        let options = crate::tape::recorder::RecordOptions {
            segment_bytes: 20_000,
            compress,
            ..options
        };
        let mut world = World::new(options).unwrap();
        for deed in deeds {
            match deed {
                Deed::Publish(count) => world.publish(count),
                Deed::Turn => world.turn(),
                Deed::Wait => {
                    world.now += Duration::from_secs(10);
                    world.turn();
                }
                Deed::Room(room) => world.faults.room.store(room, SeqCst),
                Deed::Sync(fails) => world.faults.sync_fails.store(fails, SeqCst),
                Deed::Create(fails) => world.faults.create_fails.store(fails, SeqCst),
            }
            if mode == Durability::Commit && world.watermark.recorded() > 0 {
                let counted = world.watermark.recorded();
                prop_assert!(open(folder.path()).last_seq() >= counted);
            }
        }
        world.faults.room.store(-1, SeqCst);
        world.faults.sync_fails.store(false, SeqCst);
        world.faults.create_fails.store(false, SeqCst);
        world.publish(1);
        let newest = world.ring.newest();
        world.turn_until(|world| {
            world.recorder.last_written() == newest && world.watermark.recorded() == newest
        });
        let (status, watermark) = (world.watermark.status(), world.watermark.clone());
        world.finish(true);
        let tape = recorded(folder.path());
        prop_assert_eq!(tape.len() as u64, status.records);
        prop_assert_eq!(tape.len() as u64 + status.lost, newest, "what is missing is counted");
        prop_assert_eq!(watermark.recorded(), newest);
        prop_assert_eq!(open(folder.path()).published(), Some(newest));
    }
}

#[test]
fn a_panic_ends_it_and_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(options(folder.path(), Durability::None)).unwrap();
    world.publish(100);
    world.turn();
    world.publish(100);
    let (watermark, progress) = (world.watermark.clone(), world.recorder.progress.clone());
    world.faults.panics.store(true, SeqCst);
    world.recorder.run_guarded();
    let failure = watermark.status().health.failure;
    assert_eq!(failure.as_deref(), Some("a fault of the recorder: it has ended"));
    assert_eq!(progress.slowest_read(), u64::MAX);
    assert_eq!(recorded(folder.path()), all(1..=100), "what it recorded before stays");
}
