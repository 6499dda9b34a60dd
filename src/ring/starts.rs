//! Where the first record of each block starts: what a search goes by.
//!
//! Records lie one behind the other, and each says where the next one starts: from any start on
//! everything is found. So the writer notes one start in each block of the ring, and readers who
//! search walk from there.

use std::sync::atomic::Ordering::Relaxed;

use super::RingError;
use super::place::Place;
use super::sync::AtomicU64;
use super::words::filled;
use crate::limits::BLOCK_BYTES;

/// Number of the block that `position` is in.
#[inline]
pub(super) fn block_of(position: u64) -> u64 {
    position / BLOCK_BYTES
}

/// The first place of each block. Blocks are numbered since the start, and numbers are masked here.
///
/// Invariant: the place noted for a block is written with the record there, after it was claimed.
/// It is that of an earlier lap where no record of this one starts in the block, or none yet.
pub(super) struct Starts {
    blocks: Box<[Start]>,
    mask: usize,
}

struct Start {
    position: AtomicU64,
    seq: AtomicU64,
}

impl Starts {
    /// For a ring of `bytes`, a power of two.
    pub(super) fn new(bytes: usize) -> Result<Self, RingError> {
        let start = || Start { position: AtomicU64::new(0), seq: AtomicU64::new(0) };
        let blocks = filled(bytes / BLOCK_BYTES as usize, start)?;
        Ok(Self { mask: blocks.len() - 1, blocks })
    }

    fn at(&self, block: u64) -> &Start {
        &self.blocks[block as usize & self.mask]
    }

    /// Notes the first place of its block.
    #[inline]
    pub(super) fn note(&self, place: Place) {
        let start = self.at(block_of(place.position));
        start.position.store(place.position, Relaxed);
        start.seq.store(place.seq, Relaxed);
    }

    /// The first place of a block before `end`, if there is one. What it says is true where the
    /// beginning of the block is found whole afterwards.
    pub(super) fn first_in(&self, block: u64, end: u64) -> Option<Place> {
        let start = self.at(block);
        let place = Place { position: start.position.load(Relaxed), seq: start.seq.load(Relaxed) };
        (block_of(place.position) == block && place.position < end).then_some(place)
    }
}
