//! Batches: what stands around the records of a data frame, in either encoding.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::message::message;
use super::position::Position;
use super::text::string;
use crate::clock::UnixNanos;
use crate::limits::BATCH_HEADER;

/// `version` of the batches that this server writes.
pub const BATCH_VERSION: u8 = 1;

/// `flags`: the records are the state as of a position, not events.
pub const SNAPSHOT: u8 = 1;
/// `flags`: read from the tape, on the way to the live stream.
pub const CATCH_UP: u8 = 2;
/// `flags`: of this client's own replay.
pub const REPLAY: u8 = 4;
/// `flags`: newest states; those between were left out and counted.
pub const CONFLATED: u8 = 8;
/// `flags`: records were lost before this batch.
pub const GAP: u8 = 16;

/// The flags and their names in the json encoding, from bit 0 up.
pub const FLAGS: [(u8, &str); 5] = [
    (SNAPSHOT, "snapshot"),
    (CATCH_UP, "catch_up"),
    (REPLAY, "replay"),
    (CONFLATED, "conflated"),
    (GAP, "gap"),
];

/// Dbn encoding: 24 bytes, little-endian; `count` records follow.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct BatchHeader {
    /// [`BATCH_VERSION`].
    pub version: u8,
    /// [`SNAPSHOT`], [`CATCH_UP`], [`REPLAY`], [`CONFLATED`], [`GAP`].
    pub flags: u8,
    /// Records that follow.
    pub count: U16,
    /// The low half of the epoch. Of a replay: its number.
    pub epoch_low: U32,
    /// The last position examined for this client. Of a replay: the records so far.
    pub seq: U64,
    /// When the batch was framed, ns.
    pub ts_send: U64,
}

impl BatchHeader {
    /// A header of this version.
    pub fn new(flags: u8, count: u16, epoch: u64, seq: u64, ts_send: UnixNanos) -> Self {
        Self {
            version: BATCH_VERSION,
            flags,
            count: count.into(),
            epoch_low: (epoch as u32).into(),
            seq: seq.into(),
            ts_send: ts_send.into(),
        }
    }

    /// Its bytes on the wire.
    pub fn encode(&self) -> [u8; BATCH_HEADER] {
        zerocopy::transmute!(*self)
    }

    /// Splits a batch into its header and the bytes of its records.
    ///
    /// # Errors
    /// [`BadBatch`], where it is too short or of another version. The records are not looked at.
    pub fn decode(batch: &[u8]) -> Result<(Self, &[u8]), BadBatch> {
        let short = BadBatch::Short(batch.len());
        let (header, records) = Self::read_from_prefix(batch).map_err(|_| short)?;
        if header.version != BATCH_VERSION {
            return Err(BadBatch::Version(header.version));
        }
        Ok((header, records))
    }
}

/// Why a binary message is no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// Shorter than its header.
    #[error("a batch of {0} bytes: its header alone is {BATCH_HEADER}")]
    Short(usize),
    /// A version that this program can't read.
    #[error("a batch of version {0}, not {BATCH_VERSION}")]
    Version(u8),
}

/// Json encoding: [`Data::open`], records separated by commas, [`Data::close`].
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// The last position examined for this client. Of a replay: its number and the records so far.
    pub at: Position,
    /// When it was framed, ns.
    pub ts_send: UnixNanos,
    /// As in the header of a batch.
    pub flags: u8,
}

impl Data {
    /// Appends all that stands before the records.
    pub fn open(&self, out: &mut Vec<u8>) {
        let set = FLAGS.iter().filter(|(flag, _)| self.flags & flag != 0);
        let o = message("data", out);
        let o = match self.flags & REPLAY {
            0 => o.position(self.at),
            _ => o.long("replay", self.at.epoch).long("seq", self.at.seq),
        };
        let o =
            o.long("ts_send", self.ts_send).list("flags", set, |out, (_, name)| string(out, name));
        o.value("records", |out| out.push(b'['));
    }

    /// Appends all that stands behind them.
    pub fn close(out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }
}

const _: () = assert!(size_of::<BatchHeader>() == BATCH_HEADER);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_protocols() {
        let header = BatchHeader::new(CONFLATED, 0x0201, 0xffff_ffff_0605_0403, 7, 8);
        let mut batch = header.encode().to_vec();
        let seq_and_time = [7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(batch[..8], [1, 8, 1, 2, 3, 4, 5, 6]);
        assert_eq!(batch[8..], seq_and_time);
        batch.push(42);
        assert_eq!(BatchHeader::decode(&batch), Ok((header, &[42][..])));
    }

    #[test]
    fn what_is_no_batch_says_why() {
        assert_eq!(BatchHeader::decode(&[1; 23]), Err(BadBatch::Short(23)));
        assert_eq!(BatchHeader::decode(&[2; 24]), Err(BadBatch::Version(2)));
    }

    #[test]
    fn flags_are_one_bit_each() {
        for (n, (flag, _)) in FLAGS.iter().enumerate() {
            assert_eq!(*flag, 1 << n);
        }
    }

    #[test]
    fn data_opens_and_closes_around_its_records() {
        let flags = SNAPSHOT | GAP;
        let data = Data { at: Position { epoch: 1, seq: 2 }, ts_send: 3, flags };
        let mut whole = Vec::new();
        data.open(&mut whole);
        whole.extend_from_slice(b"{},{}");
        Data::close(&mut whole);
        let right = concat!(
            r#"{"type":"data","epoch":"1","seq":"2","ts_send":"3","#,
            r#""flags":["snapshot","gap"],"records":[{},{}]}"#
        );
        assert_eq!(String::from_utf8(whole).unwrap(), right);
    }
}
