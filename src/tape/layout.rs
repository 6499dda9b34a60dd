//! The bytes of a segment file, field by field: its head, the head of each frame, its trailer.
//!
//! Little-endian throughout. `docs/formats.md` is this file in prose; a test holds them equal.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::limits::{TAPE_BLOCK, TAPE_INDEX};

/// What a segment begins with. The line ends show a file that went through a text transfer.
pub(super) const SEGMENT_MAGIC: [u8; 8] = *b"BTAPE\r\n\x1a";
/// What a frame begins with.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"\xF1blk";
/// What a trailer begins with.
pub(super) const TRAILER_MAGIC: [u8; 8] = *b"BTAPEEND";
/// The version that is written, and the only one there is.
pub(super) const VERSION: u16 = 1;
/// The version of DBN that its records are of.
pub(super) const DBN_VERSION: u16 = 3;

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct SegmentHead {
    magic: [u8; 8],
    version: U16,
    dbn_version: U16,
    length: U32,
    /// The sequence that its numbers belong to.
    pub(super) epoch: U64,
    /// The number from which on it may hold records, as in its name.
    pub(super) first_seq: U64,
    /// The last record of the tape before this segment: what an older segment holds beyond it is
    /// void, and what that lacks up to it has been lost.
    pub(super) prev_seq: U64,
    /// When it was made, ns.
    pub(super) created: U64,
    reserved: [u8; 12],
    crc: U32,
}

/// Bytes of a [`SegmentHead`].
pub(super) const SEGMENT_HEAD: usize = size_of::<SegmentHead>();

impl SegmentHead {
    /// A head with its checksum.
    pub(super) fn new(epoch: u64, first_seq: u64, prev_seq: u64, created: u64) -> Self {
        let mut head = Self {
            magic: SEGMENT_MAGIC,
            version: VERSION.into(),
            dbn_version: DBN_VERSION.into(),
            length: (SEGMENT_HEAD as u32).into(),
            epoch: epoch.into(),
            first_seq: first_seq.into(),
            prev_seq: prev_seq.into(),
            created: created.into(),
            reserved: [0; 12],
            crc: 0.into(),
        };
        head.crc = crc_but_last(head.as_bytes()).into();
        head
    }

    /// Reads a head.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Ok((head, _)) = Self::read_from_prefix(bytes) else {
            return Err(format!("its head is cut off: {} of {SEGMENT_HEAD} bytes", bytes.len()));
        };
        if head.magic != SEGMENT_MAGIC {
            return Err("it does not begin as a segment of a tape does".to_owned());
        }
        if head.crc.get() != crc_but_last(head.as_bytes()) {
            return Err("its head fails its checksum".to_owned());
        }
        if (head.version.get(), head.dbn_version.get()) != (VERSION, DBN_VERSION) {
            let (tape, dbn) = (head.version, head.dbn_version);
            return Err(format!(
                "it is of version {tape} with records of DBN {dbn}; this program reads version \
                 {VERSION} with DBN {DBN_VERSION}"
            ));
        }
        if head.first_seq.get() <= head.prev_seq.get() {
            return Err("its head contradicts itself: it begins before it begins".to_owned());
        }
        Ok(head)
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Records.
    Records = 0,
    /// Instruments that became known.
    Instruments = 1,
    /// The newest definition of each instrument that has one, when the segment began.
    Definitions = 2,
    /// The index. Nothing but the trailer follows.
    Seal = 3,
}

/// What comes before each payload.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Head {
    magic: [u8; 4],
    kind: u8,
    /// 0: as it is, 1: zstd.
    pub(super) encoding: u8,
    reserved: U16,
    pub(super) epoch: U64,
    /// The last record of the tape before this frame.
    pub(super) prev_seq: U64,
    /// Number of the first record; of frames without records, `prev_seq + 1`.
    pub(super) first_seq: U64,
    /// Records, or entries.
    pub(super) count: U32,
    /// Bytes that follow.
    pub(super) stored: U32,
    /// The same once they are decompressed.
    pub(super) raw: U32,
    payload_crc: U32,
    pub(super) first_ts_out: U64,
    pub(super) last_ts_out: U64,
    /// Least index time of its records.
    pub(super) min_time: U64,
    /// Greatest.
    pub(super) max_time: U64,
    zero: U32,
    crc: U32,
}

/// Bytes of a [`Head`].
pub(super) const FRAME_HEAD: usize = size_of::<Head>();

/// What a frame's head is made of, but for what follows from its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) epoch: u64,
    pub(super) prev_seq: u64,
    pub(super) first_seq: u64,
    pub(super) count: u32,
    pub(super) first_ts_out: u64,
    pub(super) last_ts_out: u64,
    pub(super) min_time: u64,
    pub(super) max_time: u64,
}

impl Head {
    /// The head of a frame with this payload as it is stored; `raw` is its length before that.
    pub(super) fn new(
        kind: Kind,
        facts: &Facts,
        raw: usize,
        compressed: bool,
        data: &[u8],
    ) -> Self {
        let mut head = Self {
            magic: FRAME_MAGIC,
            kind: kind as u8,
            encoding: u8::from(compressed),
            reserved: 0.into(),
            epoch: facts.epoch.into(),
            prev_seq: facts.prev_seq.into(),
            first_seq: facts.first_seq.into(),
            count: facts.count.into(),
            stored: (data.len() as u32).into(),
            raw: (raw as u32).into(),
            payload_crc: crc32c::crc32c(data).into(),
            first_ts_out: facts.first_ts_out.into(),
            last_ts_out: facts.last_ts_out.into(),
            min_time: facts.min_time.into(),
            max_time: facts.max_time.into(),
            zero: 0.into(),
            crc: 0.into(),
        };
        head.crc = crc_but_last(head.as_bytes()).into();
        head
    }

    /// Reads a head whose checksum is right and which makes sense; none where there is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, _) = Self::read_from_prefix(bytes).ok()?;
        let whole = head.magic == FRAME_MAGIC && head.crc.get() == crc_but_last(head.as_bytes());
        (whole && head.makes_sense()).then_some(head)
    }

    /// Lengths within their bounds, and numbers that can be: nobody has to ask again.
    fn makes_sense(&self) -> bool {
        let (first, count) = (self.first_seq.get(), u64::from(self.count.get()));
        let longest = match self.kind() {
            None => return false,
            Some(Kind::Seal) => TAPE_INDEX,
            Some(_) => TAPE_BLOCK,
        };
        let lengths = self.stored <= self.raw && self.raw.get() as usize <= longest;
        let counted = count > 0 || self.kind() != Some(Kind::Records);
        lengths && counted && first > self.prev_seq.get() && first.checked_add(count).is_some()
    }

    /// What it holds; none for a kind that this program does not know.
    pub(super) fn kind(&self) -> Option<Kind> {
        [Kind::Records, Kind::Instruments, Kind::Definitions, Kind::Seal]
            .into_iter()
            .find(|kind| *kind as u8 == self.kind)
    }

    /// Number of its last record; of frames without records, the last before it.
    pub(super) fn last_seq(&self) -> u64 {
        match self.kind() {
            Some(Kind::Records) => self.first_seq.get() + u64::from(self.count.get()) - 1,
            _ => self.prev_seq.get(),
        }
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_len(&self) -> u64 {
        FRAME_HEAD as u64 + u64::from(self.stored.get())
    }

    /// Is this its payload, as stored?
    pub(super) fn matches(&self, data: &[u8]) -> bool {
        crc32c::crc32c(data) == self.payload_crc.get()
    }
}

/// The last bytes of a sealed segment: they lead to its index.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Trailer {
    magic: [u8; 8],
    /// Where the seal's head is.
    pub(super) seal: U64,
    reserved: U32,
    crc: U32,
}

/// Bytes of a [`Trailer`].
pub(super) const TRAILER: usize = size_of::<Trailer>();

impl Trailer {
    /// The trailer after a seal at this offset.
    pub(super) fn new(seal: u64) -> Self {
        let mut trailer =
            Self { magic: TRAILER_MAGIC, seal: seal.into(), reserved: 0.into(), crc: 0.into() };
        trailer.crc = crc_but_last(trailer.as_bytes()).into();
        trailer
    }

    /// Reads a trailer; none where there is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let trailer = Self::read_from_bytes(bytes).ok()?;
        (trailer.magic == TRAILER_MAGIC && trailer.crc.get() == crc_but_last(trailer.as_bytes()))
            .then_some(trailer)
    }
}

/// The checksum over all of a head but its last field, which holds it.
fn crc_but_last(bytes: &[u8]) -> u32 {
    crc32c::crc32c(&bytes[..bytes.len() - 4])
}

const _: () = {
    assert!(SEGMENT_HEAD == 64 && FRAME_HEAD == 88 && TRAILER == 24);
};

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// Offsets in the first column of the table behind `heading`, and their types.
    fn table(heading: &str) -> Vec<(usize, String)> {
        let text = include_str!("../../docs/formats.md").split_once(heading).unwrap().1;
        let rows = text.lines().skip_while(|line| !line.starts_with("| 0 |"));
        let rows = rows.take_while(|line| line.starts_with('|'));
        let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        cells.map(|cells| (cells[1].parse().unwrap(), cells[2].to_owned())).collect()
    }

    #[test]
    fn the_documentation_has_every_field_where_it_is() {
        let head = table("**Segment head**");
        let offsets: Vec<_> = head.iter().map(|(offset, _)| *offset).collect();
        let fields = [
            offset_of!(SegmentHead, magic),
            offset_of!(SegmentHead, version),
            offset_of!(SegmentHead, dbn_version),
            offset_of!(SegmentHead, length),
            offset_of!(SegmentHead, epoch),
            offset_of!(SegmentHead, first_seq),
            offset_of!(SegmentHead, prev_seq),
            offset_of!(SegmentHead, created),
            offset_of!(SegmentHead, reserved),
            offset_of!(SegmentHead, crc),
        ];
        assert_eq!(offsets, fields);
        let frame = table("**Frame**");
        let offsets: Vec<_> = frame.iter().map(|(offset, _)| *offset).collect();
        let fields = [
            offset_of!(Head, magic),
            offset_of!(Head, kind),
            offset_of!(Head, encoding),
            offset_of!(Head, reserved),
            offset_of!(Head, epoch),
            offset_of!(Head, prev_seq),
            offset_of!(Head, first_seq),
            offset_of!(Head, count),
            offset_of!(Head, stored),
            offset_of!(Head, raw),
            offset_of!(Head, payload_crc),
            offset_of!(Head, first_ts_out),
            offset_of!(Head, last_ts_out),
            offset_of!(Head, min_time),
            offset_of!(Head, max_time),
            offset_of!(Head, zero),
            offset_of!(Head, crc),
        ];
        assert_eq!(offsets, fields);
        for (table, size) in [(head, SEGMENT_HEAD), (frame, FRAME_HEAD)] {
            let bytes = |kind: &str| match kind {
                "u8" => 1,
                "u16" => 2,
                "u32" => 4,
                "u64" => 8,
                bytes => bytes.trim_end_matches(" bytes").parse().unwrap(),
            };
            let ends = table.iter().map(|(offset, kind)| offset + bytes(kind));
            let starts = table.iter().skip(1).map(|(offset, _)| *offset).chain([size]);
            assert!(ends.eq(starts), "the types fill the table");
        }
    }
}
