//! A tape that is continued: the epoch and the sequence go on, and no number is given twice.

use super::world::{World, options, recorded};
use super::*;
use crate::limits::TAPE_RESTART_SKIP;
use crate::tape::recorder::Durability;

#[test]
fn a_tape_that_was_ended_in_order_goes_on_without_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3_u64 {
        let mut world = World::new(options(folder.path(), Durability::None)).unwrap();
        assert_eq!(world.writer.newest(), round * 30);
        world.publish(30);
        world.turn();
        assert_eq!(world.watermark.status().lost, 0);
        world.finish(true);
    }
    assert_eq!(recorded(folder.path()), (1..=90).collect::<Vec<_>>());
    assert_eq!(open(folder.path()).epoch(), EPOCH);
}

#[test]
fn a_tape_that_was_not_goes_on_beyond_all_that_was_published() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(options(folder.path(), Durability::None)).unwrap();
    world.publish(30);
    world.turn();
    world.publish(5);
    drop(world);
    // What a crash tears: the block that was being written.
    let path = folder.path().join("00000000000000000001.tape");
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 10);
    fs::write(&path, &bytes).unwrap();
    let mut world = World::new(options(folder.path(), Durability::None)).unwrap();
    assert_eq!(world.watermark.recorded(), 0);
    let first = world.writer.newest() + 1;
    assert!(first > TAPE_RESTART_SKIP);
    world.publish(3);
    world.turn();
    assert_eq!(world.watermark.status().lost, 0, "what was never published is not lost");
    assert_eq!(fs::read(&path).unwrap(), bytes, "what was there is not touched");
    assert_eq!(recorded(folder.path()), [first, first + 1, first + 2]);
    drop(world);
    // Twice, without a record between: still beyond.
    drop(World::new(options(folder.path(), Durability::None)).unwrap());
    let world = World::new(options(folder.path(), Durability::None)).unwrap();
    assert!(world.writer.newest() >= first + 2 * TAPE_RESTART_SKIP - 1);
}

#[test]
fn a_damaged_tape_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut world = World::new(options(folder.path(), Durability::None)).unwrap();
        world.publish(30);
        world.turn();
        world.finish(true);
    }
    let path = folder.path().join("00000000000000000001.tape");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let refused = World::new(options(folder.path(), Durability::None)).err().unwrap();
    assert!(refused.to_string().contains("broadtape repair"), "{refused}");
}
