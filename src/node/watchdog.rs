//! Watches that every shard makes its turns: one that does not is stuck, gets no new connections
//! and holds no feed back until it goes on.
//!
//! It counts its own looks instead of reading a clock: where the whole process was held up, nobody
//! was stuck.

use crate::limits::{SHARD_STUCK, WATCH};
use crate::ring::Progresses;
use crate::shard::command::Mailbox;

/// Looks without a turn that make a shard a stuck one.
const LOOKS: u32 = (SHARD_STUCK.as_millis() / WATCH.as_millis()) as u32;

/// What was seen of a shard.
#[derive(Clone, Copy, Default)]
struct Seen {
    turns: u64,
    idle: u32,
}

/// Watches the shards.
pub(super) struct Watchdog(Vec<Seen>);

impl Watchdog {
    /// For so many shards.
    pub(super) fn new(shards: usize) -> Self {
        Self(vec![Seen::default(); shards])
    }

    /// Looks at each, once every [`WATCH`].
    pub(super) fn look(&mut self, progress: &Progresses, mailboxes: &[Mailbox]) {
        for (shard, (seen, mailbox)) in self.0.iter_mut().zip(mailboxes).enumerate() {
            let turns = progress.of(shard).turns();
            seen.idle = if turns == seen.turns { seen.idle.saturating_add(1) } else { 0 };
            seen.turns = turns;
            let stuck = seen.idle >= LOOKS;
            match (mailbox.is_stuck(), stuck) {
                (false, true) => {
                    let connections = mailbox.population();
                    tracing::error!(shard, connections, "a shard is stuck: no turn for 5 s");
                    // A feed that waits for the slowest must not wait for ever.
                    progress.of(shard).step_aside();
                }
                (true, false) => tracing::warn!(shard, "a shard that was stuck goes on"),
                _ => {}
            }
            mailbox.set_stuck(stuck);
        }
    }
}

const _: () = assert!(LOOKS > 1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::limits::RING_MIN;
    use crate::ring::{Wake, ring};

    struct Nobody;

    impl Wake for Nobody {
        fn wake(&self) {}
    }

    #[test]
    fn who_makes_no_turns_is_stuck_until_it_does() {
        let (_writer, ring) = ring(RING_MIN).unwrap();
        let (reader, progress) = (ring.reader(), Progresses::new(2));
        let mailboxes = [Mailbox::new(Arc::new(Nobody)), Mailbox::new(Arc::new(Nobody))];
        let mut dog = Watchdog::new(2);
        for _ in 0..=LOOKS {
            progress.of(0).advance(&reader, 0);
            dog.look(&progress, &mailboxes);
        }
        assert_eq!(mailboxes.each_ref().map(Mailbox::is_stuck), [false, true]);
        assert_eq!(progress.slowest_read(), 0, "nobody waits for it");
        assert_eq!(progress.of(1).read(), u64::MAX);
        progress.of(1).advance(&reader, 0);
        dog.look(&progress, &mailboxes);
        assert_eq!(mailboxes.each_ref().map(Mailbox::is_stuck), [false, false]);
        assert_eq!(mailboxes.each_ref().map(Mailbox::stalls), [0, 1]);
    }
}
