//! How far each reader has come, for whoever gates a feed on it or shows it.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crossbeam::utils::CachePadded;

use super::Reader;
use super::sync::AtomicU64;

/// What one reader exports, stored by its thread alone.
#[derive(Default)]
pub struct Progress {
    /// Bytes since the start that have been handed to the sockets.
    read: AtomicU64,
    /// Number of the last record of these.
    read_seq: AtomicU64,
    /// Unsent bytes of the connection that has most of them.
    queued: AtomicU64,
    /// Connections with a subscription, now.
    subscribers: AtomicU64,
    /// Connections that ever had one.
    subscribed: AtomicU64,
    /// Turns since the start.
    turns: AtomicU64,
}

impl Progress {
    /// Everything that `reader` has read is in the sockets, and no connection has more than
    /// `queued` bytes unsent. Once a turn.
    #[inline]
    pub fn advance(&self, reader: &Reader, queued: u64) {
        // Nobody else stores it: no need to add atomically.
        self.turns.store(self.turns.load(Relaxed) + 1, Relaxed);
        self.queued.store(queued, Relaxed);
        self.read_seq.store(reader.seq(), Relaxed);
        self.read.store(reader.position(), Release);
    }

    /// This reader holds nobody back, until it advances again.
    pub fn step_aside(&self) {
        self.read.store(u64::MAX, Release);
    }

    /// All its connections are gone.
    pub fn vacate(&self) {
        self.queued.store(0, Relaxed);
        self.subscribers.store(0, Release);
    }

    /// A connection has its first subscription.
    pub fn join(&self) {
        self.subscribed.fetch_add(1, Relaxed);
        self.subscribers.fetch_add(1, Release);
    }

    /// A connection has no subscription any more.
    pub fn leave(&self) {
        self.subscribers.fetch_sub(1, Release);
    }

    /// How often it has advanced: one that does no more is stuck.
    pub fn turns(&self) -> u64 {
        self.turns.load(Relaxed)
    }

    /// Bytes since the start that have been handed to the sockets.
    pub fn read(&self) -> u64 {
        self.read.load(Acquire)
    }

    /// Number of the last record that has been handed to the sockets.
    pub fn read_seq(&self) -> u64 {
        self.read_seq.load(Relaxed)
    }

    /// Unsent bytes of the connection that has most of them.
    pub fn queued(&self) -> u64 {
        self.queued.load(Relaxed)
    }

    /// Connections with a subscription, now.
    pub fn subscribers(&self) -> u64 {
        self.subscribers.load(Acquire)
    }

    /// Connections that ever had one.
    pub fn subscribed(&self) -> u64 {
        self.subscribed.load(Relaxed)
    }
}

/// The progress of all readers.
#[derive(Clone)]
pub struct Progresses {
    readers: Arc<[CachePadded<Progress>]>,
    /// That of a recorder. It serves nobody, but a feed that knows no pace waits for it as well.
    recorder: Option<Arc<CachePadded<Progress>>>,
}

impl Progresses {
    /// For `readers` readers.
    pub fn new(readers: usize) -> Self {
        let readers = (0..readers).map(|_| CachePadded::default()).collect();
        Self { readers, recorder: None }
    }

    /// The same, with a recorder beside them.
    pub fn with_recorder(self) -> Self {
        Self { recorder: Some(Arc::default()), ..self }
    }

    /// That of the recorder, where there is one.
    pub fn recorder(&self) -> Option<&Progress> {
        self.recorder.as_ref().map(|progress| &***progress)
    }

    /// That of reader `id`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn of(&self, id: usize) -> &Progress {
        &self.readers[id]
    }

    /// Each reader's, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Progress> {
        self.readers.iter().map(|progress| &**progress)
    }

    /// Bytes since the start that every reader has handed to its sockets, and the recorder to its
    /// tape; `u64::MAX` where there is no reader.
    pub fn slowest_read(&self) -> u64 {
        self.iter().chain(self.recorder()).map(Progress::read).min().unwrap_or(u64::MAX)
    }

    /// Unsent bytes of the connection that has most of them.
    pub fn max_queued(&self) -> u64 {
        self.iter().map(Progress::queued).max().unwrap_or(0)
    }

    /// Connections with a subscription, now.
    pub fn subscribers(&self) -> u64 {
        self.iter().map(Progress::subscribers).sum()
    }

    /// Connections that ever had one.
    pub fn subscribed(&self) -> u64 {
        self.iter().map(Progress::subscribed).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{RECORD_MAX, RING_MIN};
    use crate::ring::{Segment, ring};

    #[test]
    fn the_slowest_reader_and_the_longest_queue_count() {
        let (mut writer, ring) = ring(RING_MIN).unwrap();
        let mut reader = ring.reader();
        let mut bare = [0; 80];
        bare[0] = 20;
        writer.publish(&bare, 1);
        let all = Progresses::new(2);
        all.of(0).advance(&reader, 70);
        let _ = reader.read(&mut Segment::new(RECORD_MAX));
        all.of(1).advance(&reader, 5);
        assert_eq!((all.slowest_read(), all.max_queued()), (0, 70));
        all.of(0).advance(&reader, 0);
        assert_eq!((all.slowest_read(), all.max_queued(), all.of(0).read_seq()), (88, 5, 1));
    }

    #[test]
    fn subscribers_come_and_go_and_are_remembered() {
        let all = Progresses::new(2);
        all.of(0).join();
        all.of(1).join();
        all.of(0).leave();
        assert_eq!((all.subscribers(), all.subscribed()), (1, 2));
    }
}
