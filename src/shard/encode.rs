//! From records to frames: batches in either encoding, cut so that no message is too long.
//!
//! A frame is written where it will be sent from: its head is left open, records follow, and what
//! is known only at its end (length, count, cursor) is filled in then.

use crate::clock::UnixNanos;
use crate::limits::{BATCH_HEADER, SERVER_MESSAGE_MAX};
use crate::shard::cache::{self, Key};
use crate::shard::catalog::Catalog;
use crate::socket::shared::Mark;
use crate::wire::batch::{BatchHeader, Data};
use crate::wire::encoding::Encoding;
use crate::wire::frame::{self, HEAD_DATA, Opcode};
use crate::wire::json;
use crate::wire::position::Position;

/// What the frames of one range have in common.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The run's epoch.
    pub epoch: u64,
    /// When they are framed.
    pub ts_send: UnixNanos,
    /// What kind of records they hold.
    pub flags: u8,
    /// The last position examined for them: the cursor of the last frame.
    pub last: u64,
}

/// Writes a range of whole frames.
pub struct Framer<'a> {
    encoding: Encoding,
    stamp: Stamp,
    out: &'a mut Vec<u8>,
    marks: &'a mut Vec<Mark>,
    base: usize,
    open: Option<Open>,
    records: u32,
}

/// A frame in progress.
struct Open {
    start: usize,
    body: usize,
    count: u16,
    seq: u64,
}

impl<'a> Framer<'a> {
    /// Frames will be appended to `out`, and a mark for each of them to `marks`.
    pub fn new(
        encoding: Encoding,
        stamp: Stamp,
        out: &'a mut Vec<u8>,
        marks: &'a mut Vec<Mark>,
    ) -> Self {
        let base = out.len();
        Self { encoding, stamp, out, marks, base, open: None, records: 0 }
    }

    /// Adds a record in the framer's encoding: its bytes or its text. `seq` is its position, or the
    /// cursor it stands for.
    #[inline]
    pub fn push(&mut self, record: &[u8], seq: u64) {
        let closing = "]}".len();
        if let Some(open) = &self.open {
            let payload = self.out.len() - open.start - HEAD_DATA;
            if payload + 1 + record.len() + closing > SERVER_MESSAGE_MAX || open.count == u16::MAX {
                let cursor = open.seq;
                self.close(cursor);
            }
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(begin(self.encoding, &self.stamp, self.out)),
        };
        if self.encoding == Encoding::Json && open.count > 0 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(record);
        open.count += 1;
        open.seq = seq;
    }

    /// Ends the last frame. `empty`: a frame without records is written where there was none.
    pub fn finish(mut self, empty: bool) {
        if self.open.is_none() && empty {
            self.open = Some(begin(self.encoding, &self.stamp, self.out));
        }
        self.close(self.stamp.last);
    }

    /// Ends the last frame with the number of its last record as its cursor.
    pub fn finish_at_last(mut self) {
        if let Some(open) = &self.open {
            let cursor = open.seq;
            self.close(cursor);
        }
    }

    fn close(&mut self, cursor: u64) {
        let Some(open) = self.open.take() else { return };
        let payload = open.start + HEAD_DATA;
        let Stamp { epoch, ts_send, flags, last } = self.stamp;
        let opcode = match self.encoding {
            Encoding::Dbn => {
                let header = BatchHeader::new(flags, open.count, epoch, cursor, ts_send);
                self.out[payload..payload + BATCH_HEADER].copy_from_slice(&header.encode());
                Opcode::Binary
            }
            Encoding::Json => {
                if cursor != last {
                    let mut head = Vec::new();
                    data(&self.stamp, cursor).open(&mut head);
                    self.out.splice(payload..open.body, head);
                }
                Data::close(self.out);
                Opcode::Text
            }
        };
        frame::close_head(self.out, open.start, opcode);
        self.records += u32::from(open.count);
        let end = (self.out.len() - self.base) as u32;
        self.marks.push(Mark { end, records: self.records, seq: cursor });
    }
}

fn begin(encoding: Encoding, stamp: &Stamp, out: &mut Vec<u8>) -> Open {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_DATA]);
    match encoding {
        Encoding::Dbn => out.extend_from_slice(&[0; BATCH_HEADER]),
        Encoding::Json => data(stamp, stamp.last).open(out),
    }
    Open { start, body: out.len(), count: 0, seq: 0 }
}

fn data(stamp: &Stamp, seq: u64) -> Data {
    let at = Position { epoch: stamp.epoch, seq };
    Data { at, ts_send: stamp.ts_send, flags: stamp.flags }
}

/// JSON texts of records: those of a turn's segment once each, whoever asks, and single ones.
#[derive(Default)]
pub struct Texts {
    text: Vec<u8>,
    ranges: Vec<(u32, u32)>,
    single: Vec<u8>,
}

impl Texts {
    /// Forgets the texts of the last turn.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ranges.clear();
    }

    /// The text of the record at `place` of the segment.
    pub fn get(&mut self, place: usize, record: &[u8], key: Key, catalog: &Catalog) -> &[u8] {
        if self.ranges.len() <= place {
            self.ranges.resize(place + 1, (0, 0));
        }
        if self.ranges[place].1 == 0 {
            let start = self.text.len();
            json::encode(record, symbol(key, catalog), &mut self.text);
            self.ranges[place] = (start as u32, self.text.len() as u32);
        }
        let (start, end) = self.ranges[place];
        &self.text[start as usize..end as usize]
    }

    /// The text of a record outside of the segment.
    pub fn scratch(&mut self, record: &[u8], key: Key, catalog: &Catalog) -> &[u8] {
        self.single.clear();
        json::encode(record, symbol(key, catalog), &mut self.single);
        &self.single
    }
}

fn symbol(key: Key, catalog: &Catalog) -> &str {
    match key {
        Key::MAX => "",
        key => &catalog.get(cache::parts(key).1).symbol,
    }
}
