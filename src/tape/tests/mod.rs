//! Tests of the tape on files that they make: what is written comes back, and what is damaged is
//! named.

mod damage;
mod deriving;
mod reading;
mod recording;
mod repairing;
mod restart;
mod world;

use std::fs;
use std::path::Path;

use super::disk::Files;
use super::write::{Opening, SegmentWriter};
use super::{Block, Cursor, Tape, TapeError};
use crate::wire::instrument::Instrument;
use crate::wire::record::{
    Mbp1Msg, TradeMsg, bytes_of, header, instrument_id, publish_into, rtype, ts_out,
};

pub(super) const EPOCH: u64 = 7;

/// Published record number `seq`: its `ts_out` is `1000 * seq`, its instrument `seq % 3`. Every
/// fourth is a trade, the others are mbp-1.
pub(super) fn record(seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let instrument = (seq % 3) as u32;
    if seq.is_multiple_of(4) {
        let hd = header::<TradeMsg>(rtype::MBP_0, 1, instrument, 900 * seq);
        let trade = TradeMsg { hd, ts_recv: 950 * seq, ..TradeMsg::default() };
        publish_into(&mut out, bytes_of(&trade), 1000 * seq);
    } else {
        let hd = header::<Mbp1Msg>(rtype::MBP_1, 1, instrument, 900 * seq);
        let mbp = Mbp1Msg { hd, ts_recv: 950 * seq, price: seq as i64, ..Mbp1Msg::default() };
        publish_into(&mut out, bytes_of(&mbp), 1000 * seq);
    }
    out
}

pub(super) fn records(seqs: impl Iterator<Item = u64>) -> Vec<u8> {
    seqs.flat_map(record).collect()
}

pub(super) fn instrument(id: u32, symbol: &str) -> Instrument {
    let symbol = symbol.to_owned();
    Instrument { id, publisher: 1, symbol, tick: Some(1), lot: None, schemas: 0 }
}

/// A segment of blocks of these records; their numbers ascend, and need not be without holes.
pub(super) fn segment(
    folder: &Path,
    prev_seq: u64,
    blocks: &[std::ops::RangeInclusive<u64>],
    compress: bool,
) -> SegmentWriter {
    let first_seq = blocks.first().map_or(prev_seq + 1, |block| *block.start());
    let opening = Opening { epoch: EPOCH, first_seq, prev_seq, created: 5, compress };
    let mut writer = SegmentWriter::create(&Files, folder, &opening).unwrap();
    writer.instruments(&[instrument(0, "A"), instrument(1, "B"), instrument(2, "C")]).unwrap();
    for block in blocks {
        writer.block(*block.start(), &records(block.clone())).unwrap();
    }
    writer
}

/// All blocks up to the end, and the error that ended it.
pub(super) fn read(cursor: &mut Cursor) -> (Vec<Block>, Option<TapeError>) {
    let mut blocks = Vec::new();
    loop {
        match cursor.next_block() {
            Ok(Some(block)) => blocks.push(block),
            Ok(None) => return (blocks, None),
            Err(error) => return (blocks, Some(error)),
        }
    }
}

/// The numbers of all records of blocks, each of which is as [`record`] made it.
pub(super) fn numbers(blocks: &[Block]) -> Vec<u64> {
    let mut all = Vec::new();
    for block in blocks {
        assert_eq!(block.records().count(), block.len());
        assert_eq!(block.first_seq() + block.len() as u64 - 1, block.last_seq());
        for (bytes, seq) in block.records().zip(block.first_seq()..) {
            assert_eq!(bytes, record(seq), "record {seq}");
            assert_eq!((ts_out(bytes), instrument_id(bytes)), (1000 * seq, (seq % 3) as u32));
            all.push(seq);
        }
    }
    assert!(all.is_sorted_by(|a, b| a < b), "numbers go backwards");
    all
}

/// The one segment of a folder.
pub(super) fn only_file(folder: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    files.remove(0)
}

pub(super) fn open(folder: &Path) -> Tape {
    Tape::open(folder).unwrap()
}
