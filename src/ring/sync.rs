//! The atomics that the ring is built on: the processor's, or under the models loom's.

#[cfg(broadtape_loom)]
pub(super) use loom::sync::atomic::{AtomicU64, fence};
#[cfg(not(broadtape_loom))]
pub(super) use std::sync::atomic::{AtomicU64, fence};
