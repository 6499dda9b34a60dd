//! Frames that several connections may hold, and what was in them.

use bytes::Bytes;

/// A frame of a [`Shared`] run: where it ends, how many of the run's records came before that, and
/// its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Bytes from the start of the run to the end of the frame.
    pub end: u32,
    /// Records in the run up to the end of the frame.
    pub records: u32,
    /// The position that one who has got it has got to.
    pub seq: u64,
}

/// Frames that several connections may hold, with what was in them.
#[derive(Debug)]
pub struct Shared {
    /// The frames, end to end.
    pub bytes: Bytes,
    /// Where each ends.
    pub marks: Vec<Mark>,
    /// What the records were: a value of the caller's for each.
    pub keys: Vec<u32>,
    /// The position that one who gets them had got to before.
    pub after: u64,
}

impl Shared {
    /// Records in the frames before byte `boundary`, which is the end of a frame or 0.
    pub(super) fn records_before(&self, boundary: usize) -> usize {
        let at = self.marks.partition_point(|mark| mark.end as usize <= boundary);
        at.checked_sub(1).map_or(0, |last| self.marks[last].records as usize)
    }

    /// The cursor of the last frame that ends at byte `boundary` or before.
    pub(super) fn position(&self, boundary: usize) -> u64 {
        let at = self.marks.partition_point(|mark| mark.end as usize <= boundary);
        at.checked_sub(1).map_or(self.after, |last| self.marks[last].seq)
    }

    /// A copy of what follows byte `from`, which may lie inside of a frame.
    pub(super) fn rest(&self, from: usize) -> Self {
        let first = self.marks.partition_point(|mark| mark.end as usize <= from);
        let before = first.checked_sub(1).map_or(0, |last| self.marks[last].records);
        let shift = |mark: &Mark| Mark {
            end: mark.end - from as u32,
            records: mark.records - before,
            ..*mark
        };
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes[from..]),
            marks: self.marks[first..].iter().map(shift).collect(),
            keys: self.keys[before as usize..].to_vec(),
            after: self.position(from),
        }
    }
}
