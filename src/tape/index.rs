//! The index of a segment: where its records are, by number, by time, by instrument.
//!
//! It is built from the frames as they are written, or, where a segment was not sealed, as they are
//! read: the same frames give the same index. Sparse: an entry stands for a run of frames.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout::Head;
use crate::limits::{INSTRUMENTS_MAX, TAPE_RUN};
use crate::wire::instrument::bit;
use crate::wire::record::each;
use crate::wire::record::{instrument_id, publisher_id, rtype_of, schema_of};

/// A run of frames with records, and what lies between them.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct Run {
    /// Where its first frame begins.
    pub(super) offset: U64,
    pub(super) first_seq: U64,
    pub(super) last_seq: U64,
    pub(super) first_ts_out: U64,
    pub(super) last_ts_out: U64,
    /// Least and greatest index time.
    pub(super) min_time: U64,
    pub(super) max_time: U64,
    pub(super) records: U64,
}

/// What there is of one instrument.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct Extent {
    pub(super) id: U32,
    pub(super) publisher: U16,
    reserved: U16,
    /// Bit `1 << schema` for each schema of its records.
    pub(super) schemas: U32,
    reserved2: U32,
    pub(super) records: U64,
    /// Numbers of its first and last record.
    pub(super) first_seq: U64,
    pub(super) last_seq: U64,
}

/// The fixed part of an index on disk; runs, extents and the frames of instruments follow.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Counts {
    published: U64,
    bytes: U64,
    runs: U32,
    extents: U32,
    symbols: U32,
    reserved: U32,
}

/// The index of one segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    /// Runs of frames, in order; none is without records.
    pub(super) runs: Vec<Run>,
    extents: HashMap<(u16, u32), Extent, FixedState>,
    /// Where the frames of instruments and definitions begin.
    pub(super) symbols: Vec<u64>,
    /// Bytes of records.
    pub(super) bytes: u64,
    /// Where the run ended in order: the newest number that was published.
    pub(super) published: Option<u64>,
}

impl Index {
    /// Counts in a block whose frame begins at `offset`.
    pub(super) fn add(&mut self, offset: u64, head: &Head, records: &[u8]) {
        self.add_run(offset, head);
        self.bytes += records.len() as u64;
        for (record, seq) in each(records).zip(head.first_seq.get()..) {
            let (publisher, id) = (publisher_id(record), instrument_id(record));
            let fresh = || Extent {
                id: id.into(),
                publisher: publisher.into(),
                reserved: 0.into(),
                schemas: 0.into(),
                reserved2: 0.into(),
                records: 0.into(),
                first_seq: seq.into(),
                last_seq: seq.into(),
            };
            let extent = self.extents.entry((publisher, id)).or_insert_with(fresh);
            let schema = schema_of(rtype_of(record)).map_or(0, bit);
            extent.schemas = (extent.schemas.get() | schema).into();
            extent.records += 1;
            extent.last_seq = seq.into();
        }
    }

    fn add_run(&mut self, offset: u64, head: &Head) {
        let fresh = self.runs.last().is_none_or(|run| offset - run.offset.get() >= TAPE_RUN);
        if fresh {
            self.runs.push(Run {
                offset: offset.into(),
                first_seq: head.first_seq,
                last_seq: 0.into(),
                first_ts_out: head.first_ts_out,
                last_ts_out: 0.into(),
                min_time: head.min_time,
                max_time: head.max_time,
                records: 0.into(),
            });
        }
        let Some(run) = self.runs.last_mut() else { return };
        run.last_seq = head.last_seq().into();
        run.last_ts_out = head.last_ts_out;
        run.min_time = run.min_time.min(head.min_time);
        run.max_time = run.max_time.max(head.max_time);
        run.records += u64::from(head.count.get());
    }

    /// Can it be the index of a segment that follows `prev_seq`, sealed at `end`? Its checksum
    /// holds, but not everybody who writes one means well.
    pub(super) fn fits(&self, prev_seq: u64, end: u64) -> bool {
        let (mut last, mut at) = (prev_seq, 0);
        let runs = self.runs.iter().all(|run| {
            let ordered = run.first_seq.get() > last && run.last_seq >= run.first_seq;
            let placed = run.offset.get() > at && run.offset.get() < end;
            (last, at) = (run.last_seq.get(), run.offset.get());
            ordered && placed && last < u64::MAX
        });
        runs && self.published.is_none_or(|seq| seq >= last)
            && self.symbols.iter().all(|offset| *offset < end)
    }

    /// Records of the segment.
    pub(super) fn records(&self) -> u64 {
        self.runs.iter().map(|run| run.records.get()).sum()
    }

    /// What there is of each instrument, by publisher and id.
    pub(super) fn extents(&self) -> Vec<Extent> {
        let mut extents: Vec<Extent> = self.extents.values().copied().collect();
        extents.sort_unstable_by_key(|extent| (extent.publisher.get(), extent.id.get()));
        extents
    }

    /// As it is stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let extents = self.extents();
        let counts = Counts {
            published: self.published.map_or(0, |seq| seq + 1).into(),
            bytes: self.bytes.into(),
            runs: (self.runs.len() as u32).into(),
            extents: (extents.len() as u32).into(),
            symbols: (self.symbols.len() as u32).into(),
            reserved: 0.into(),
        };
        let mut out = counts.as_bytes().to_vec();
        out.extend_from_slice(self.runs.as_bytes());
        out.extend_from_slice(extents.as_bytes());
        out.extend(self.symbols.iter().flat_map(|offset| offset.to_le_bytes()));
        out
    }

    /// Reads what [`Index::to_bytes`] made; none where it is something else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (counts, rest) = Counts::read_from_prefix(bytes).ok()?;
        if counts.extents.get() as usize > INSTRUMENTS_MAX * 4 {
            return None;
        }
        let (runs, rest) =
            <[Run]>::ref_from_prefix_with_elems(rest, counts.runs.get() as usize).ok()?;
        let extents = counts.extents.get() as usize;
        let (extents, rest) = <[Extent]>::ref_from_prefix_with_elems(rest, extents).ok()?;
        let symbols =
            <[U64]>::ref_from_bytes_with_elems(rest, counts.symbols.get() as usize).ok()?;
        let key = |extent: &Extent| ((extent.publisher.get(), extent.id.get()), *extent);
        Some(Self {
            runs: runs.to_vec(),
            extents: extents.iter().map(key).collect(),
            symbols: symbols.iter().map(|offset| offset.get()).collect(),
            bytes: counts.bytes.get(),
            published: counts.published.get().checked_sub(1),
        })
    }
}
