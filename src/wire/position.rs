//! Positions in the stream, and where a subscription begins.

use crate::clock::UnixNanos;

/// A place in the one sequence of records: behind record `seq` of run `epoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The run, random and not zero.
    pub epoch: u64,
    /// The record; 0 stands before the first.
    pub seq: u64,
}

/// Where delivery starts, if not with the next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the record behind this position.
    After(Position),
    /// With the first record whose `ts_out` is not before this time, ns.
    At(UnixNanos),
}
