//! A recorded run, killed (SIGKILL) at random points and gone on with: nothing that counted as
//! recorded is lost, and no number is given twice. `tools/kill.sh N` has more turns of it.

use std::path::Path;

use broadtape::tape::{Tape, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::program::Program;
use crate::subscriber::{Subscriber, is_kept};

/// Turns, and batches that a turn may have, where nobody says how many.
const TURNS: u32 = 4;
const BATCHES: u32 = 400;

const DURABILITIES: [&str; 3] = ["commit", "interval=5ms", "none"];

#[test]
fn nothing_that_counted_as_recorded_is_lost() {
    let given = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (turns, most) = (given("KILL_TURNS", TURNS), given("KILL_BATCHES", BATCHES));
    let seed = u64::from(given("KILL_SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let (mut epoch, mut newest) = (None, 0);
    for turn in 0..turns {
        let durability = DURABILITIES[turn as usize % DURABILITIES.len()];
        let batches = random.random_range(1..most);
        let (subscriber, counted) = run(&tape, durability, batches);
        assert_eq!(*epoch.get_or_insert(subscriber.epoch), subscriber.epoch, "it goes on");
        assert!(subscriber.began >= newest, "turn {turn}: a number is given twice");
        newest = check(&tape, &subscriber, counted);
        println!("turn {turn}: {durability}, killed after {batches} batches, {counted} counted");
    }
    let report = verify(&tape, |_, _| {}).unwrap();
    assert!(report.damage.is_empty(), "{:?}", report.damage);
    println!("{} records in {} segments", report.records, report.segments.len());
}

/// Records until so many batches have come, and kills; what came, and the last record that was
/// said to count. The subscriber may be as slow as the machine is.
fn run(tape: &Path, durability: &str, batches: u32) -> (Subscriber, u64) {
    let record = ["serve", "--log", "error", "--rate", "30000", "--record", tape.to_str().unwrap()];
    let sizes = ["--segment-bytes", "4MiB", "--queue", "256MiB"];
    let more = [&["--durability", durability][..], &sizes].concat();
    let server = Program::start(&[&record[..], &more[..]].concat());
    let mut subscriber = Subscriber::new(&server);
    let mut counted = 0;
    for batch in 0..batches {
        subscriber.read();
        if batch % 16 == 0 || batch + 1 == batches {
            let recorder = server.get("/v1/status")["recorder"].clone();
            counted = recorder["recorded_seq"].as_str().unwrap().parse().unwrap();
            assert_eq!(recorder["lost"], "0", "the ring of a test is large enough");
        }
    }
    // Dropped, it is killed.
    drop(server);
    (subscriber, counted)
}

/// Holds the tape against what was received and what was counted; returns its newest number.
pub(crate) fn check(folder: &Path, subscriber: &Subscriber, counted: u64) -> u64 {
    let tape = Tape::open(folder).unwrap();
    assert!(tape.damage().is_empty(), "{:?}", tape.damage());
    assert!(tape.last_seq() >= counted, "{} < {counted}", tape.last_seq());
    let mut cursor = tape.cursor_after(subscriber.began).unwrap();
    let (mut received, mut expected) = (subscriber.records.iter(), None);
    while let Some(block) = cursor.next_block().unwrap() {
        let due = expected.replace(block.last_seq() + 1).unwrap_or(block.first_seq());
        assert_eq!(block.first_seq(), due, "within a run nothing is missing");
        for record in block.records().filter(|record| is_kept(record)) {
            // What was recorded and not received before the kill has nothing to be held against.
            if let Some(other) = received.next() {
                assert_eq!(record, &other[..], "the tape has what was sent");
            }
        }
    }
    tape.last_seq()
}
