//! Frames what is due, once for all.

use crate::metronome::Tick;
use crate::raw48;

/// What the records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Payload {
    /// As broadtape sends them: frames of a batch header and DBN trades with `ts_out`.
    Broadtape,
    /// As the peers do: a frame of 48 bytes for each.
    Raw48,
}

/// First byte of an unfragmented binary frame.
const BINARY: u8 = 0x82;
/// A payload's length up to which one byte tells it.
const SHORT_MAX: usize = 125;
/// Announces a length of two bytes.
const TWO_BYTES: u8 = 126;
/// Bytes of a broadtape batch header.
const BATCH_HEADER: usize = 24;
/// Bytes of a trade with its `ts_out`.
const TRADE: usize = 56;
/// Records of one frame: a message of broadtape's is at most 65,535 bytes.
const FRAME_RECORDS: u64 = 1_000;
/// The low half of the epoch; a server of one run has one.
pub const EPOCH: u32 = 1;

const _: () = assert!(BATCH_HEADER + FRAME_RECORDS as usize * TRADE <= 65_535);

/// Numbers records and frames them.
pub struct Framer {
    payload: Payload,
    /// Records framed so far.
    seq: u64,
    bytes: Vec<u8>,
}

impl Framer {
    /// Nothing framed yet.
    pub fn new(payload: Payload) -> Self {
        Self { payload, seq: 0, bytes: Vec::new() }
    }

    /// Records framed so far.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The records of these ticks, framed; they hold until the next call.
    pub fn frame(&mut self, ticks: &[Tick], now: u64) -> &[u8] {
        self.bytes.clear();
        let mut times = ticks.iter().flat_map(|t| std::iter::repeat_n(t.at, t.records as usize));
        let mut left: u64 = ticks.iter().map(|tick| tick.records).sum();
        match self.payload {
            Payload::Raw48 => times.for_each(|at| self.message(at)),
            Payload::Broadtape => {
                while left > 0 {
                    let count = left.min(FRAME_RECORDS);
                    left -= count;
                    self.batch_head(count, now);
                    times.by_ref().take(count as usize).for_each(|at| self.trade(at, now));
                }
            }
        }
        &self.bytes
    }

    fn message(&mut self, at: u64) {
        self.frame_head(raw48::MESSAGE);
        self.bytes.extend_from_slice(&raw48::message(self.seq, at));
        self.seq += 1;
    }

    fn frame_head(&mut self, payload: usize) {
        self.bytes.push(BINARY);
        if payload <= SHORT_MAX {
            self.bytes.push(payload as u8);
        } else {
            self.bytes.push(TWO_BYTES);
            self.bytes.extend_from_slice(&(payload as u16).to_be_bytes());
        }
    }

    fn batch_head(&mut self, count: u64, now: u64) {
        self.frame_head(BATCH_HEADER + count as usize * TRADE);
        let mut head = [0; BATCH_HEADER];
        head[0] = 1; // version
        head[2..4].copy_from_slice(&(count as u16).to_le_bytes());
        head[4..8].copy_from_slice(&EPOCH.to_le_bytes());
        head[8..16].copy_from_slice(&(self.seq + count).to_le_bytes());
        head[16..24].copy_from_slice(&now.to_le_bytes());
        self.bytes.extend_from_slice(&head);
    }

    /// The fields of DBN's `TradeMsg` that a reader looks at.
    fn trade(&mut self, at: u64, now: u64) {
        self.seq += 1;
        let mut trade = [0; TRADE];
        trade[0] = (TRADE / 4) as u8; // rtype 0 behind it is a trade
        trade[4..8].copy_from_slice(&((self.seq % raw48::SYMBOLS) as u32 + 1).to_le_bytes());
        trade[8..16].copy_from_slice(&at.to_le_bytes()); // ts_event
        trade[24..28].copy_from_slice(&100u32.to_le_bytes()); // size
        (trade[28], trade[29]) = (b'T', b'B');
        trade[32..40].copy_from_slice(&at.to_le_bytes()); // ts_recv
        trade[44..48].copy_from_slice(&(self.seq as u32).to_le_bytes());
        trade[48..56].copy_from_slice(&now.to_le_bytes()); // ts_out
        self.bytes.extend_from_slice(&trade);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKS: [Tick; 2] = [Tick { at: 10, records: 2 }, Tick { at: 20, records: 1 }];

    fn u64_at(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn raw_messages_have_a_frame_each() {
        let mut framer = Framer::new(Payload::Raw48);
        let bytes = framer.frame(&TICKS, 30);
        let seen: Vec<_> = bytes.chunks(50).map(|m| (u64_at(m, 2), u64_at(m, 10))).collect();
        assert_eq!(seen, [(0, 10), (1, 10), (2, 20)]);
        assert!(bytes.chunks(50).all(|message| message[..2] == [0x82, 48]));
        assert_eq!(u64_at(framer.frame(&TICKS, 30), 2), 3);
    }

    #[test]
    fn trades_share_a_frame_and_keep_their_own_times() {
        let mut framer = Framer::new(Payload::Broadtape);
        let bytes = framer.frame(&TICKS, 30);
        assert_eq!(bytes[..4], [0x82, 126, 0, 24 + 3 * 56]);
        let batch = &bytes[4..];
        assert_eq!((batch[0], batch[2], u64_at(batch, 8), u64_at(batch, 16)), (1, 3, 3, 30));
        let times: Vec<_> = batch[24..].chunks(56).map(|t| (t[0], u64_at(t, 8), t[44])).collect();
        assert_eq!(times, [(14, 10, 1), (14, 10, 2), (14, 20, 3)]);
    }

    #[test]
    fn one_trade_has_a_short_head() {
        let mut framer = Framer::new(Payload::Broadtape);
        assert_eq!(framer.frame(&TICKS[1..], 30)[..2], [0x82, 24 + 56]);
    }

    #[test]
    fn no_frame_is_longer_than_a_message_may_be() {
        let mut framer = Framer::new(Payload::Broadtape);
        let bytes = framer.frame(&[Tick { at: 1, records: 2_500 }], 2);
        let (mut at, mut counts) = (0, Vec::new());
        while at < bytes.len() {
            counts.push(u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]));
            at += 4 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        }
        assert_eq!(counts, [1_000, 1_000, 500]);
    }
}
