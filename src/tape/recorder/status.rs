//! What a recorder exports: how far it is, and how it fares. Stored by its thread, read by anybody.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Mutex, PoisonError};

use crate::clock::UnixNanos;
use crate::wire::message::SourceState;

/// Positions and counts, each of which only grows.
#[derive(Debug, Default)]
pub struct Watermark {
    recorded: AtomicU64,
    durable: AtomicU64,
    oldest: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    holes: AtomicU64,
    lost: AtomicU64,
    segments: AtomicU64,
    failures: AtomicU64,
    size: AtomicU64,
    health: Mutex<Health>,
}

/// Is it recording?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why not, where it does not.
    pub failure: Option<String>,
    /// Since when it is as it is, ns.
    pub since: UnixNanos,
}

/// A recorder's state, for pages and metrics. Counts are since the start.
#[derive(Clone, Debug, Default)]
pub struct RecorderStatus {
    /// The newest record that counts as recorded.
    pub recorded: u64,
    /// The newest record that is known to be on the disk.
    pub durable: u64,
    /// The oldest record that is retained.
    pub oldest: u64,
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Runs of records that were lost before they were recorded.
    pub holes: u64,
    /// Records in them.
    pub lost: u64,
    /// Segments begun.
    pub segments: u64,
    /// Times that the disk failed.
    pub failures: u64,
    /// Bytes of the tape's files.
    pub size: u64,
    /// Is it recording?
    pub health: Health,
}

/// What a recorder has to tell people and clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderEvent {
    /// `Failed`, `Resumed` or `Lapped`.
    pub state: SourceState,
    /// Since when, ns.
    pub since: UnixNanos,
    /// The last record of the tape before it.
    pub seq: u64,
    /// Words for people.
    pub message: String,
}

/// What has been counted up to a place on the tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) holes: u64,
    pub(super) lost: u64,
}

impl Watermark {
    /// The newest record that counts as recorded, and can be read.
    pub fn recorded(&self) -> u64 {
        self.recorded.load(Acquire)
    }

    /// The newest record that is known to be on the disk; with durability `none`, of the segments
    /// before this one.
    pub fn durable(&self) -> u64 {
        self.durable.load(Acquire)
    }

    /// All of it.
    pub fn status(&self) -> RecorderStatus {
        RecorderStatus {
            recorded: self.recorded(),
            durable: self.durable(),
            oldest: self.oldest.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            holes: self.holes.load(Relaxed),
            lost: self.lost.load(Relaxed),
            segments: self.segments.load(Relaxed),
            failures: self.failures.load(Relaxed),
            size: self.size.load(Relaxed),
            health: self.health.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    pub(super) fn set_recorded(&self, seq: u64) {
        self.recorded.fetch_max(seq, Release);
    }

    pub(super) fn set_durable(&self, seq: u64) {
        self.durable.fetch_max(seq, Release);
    }

    pub(super) fn set_oldest(&self, seq: u64) {
        self.oldest.store(seq, Relaxed);
    }

    pub(super) fn set_size(&self, bytes: u64) {
        self.size.store(bytes, Relaxed);
    }

    pub(super) fn set_counts(&self, counts: &Counts) {
        self.records.store(counts.records, Relaxed);
        self.holes.store(counts.holes, Relaxed);
        self.lost.store(counts.lost, Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn add_segment(&self) {
        self.segments.fetch_add(1, Relaxed);
    }

    pub(super) fn set_health(&self, failure: Option<String>, since: UnixNanos) {
        if failure.is_some() {
            self.failures.fetch_add(1, Relaxed);
        }
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Health { failure, since };
    }
}
