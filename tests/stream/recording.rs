//! Recordings that tests make, so that what a client has to receive is known record by record.

use std::fs::File;
use std::path::PathBuf;

use dbn::encode::{EncodeRecord, dbn::Encoder};
use dbn::{FlagSet, MboMsg, Mbp1Msg, MetadataBuilder, SType, TradeMsg, flags, rtype};

use crate::program::Program;

const START: u64 = 1_700_000_000_000_000_000;

/// Records in a file of a folder that ends with it.
pub(crate) struct Recording {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

/// What is recorded of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Quote,
    Trade,
    /// An MBP-1 record that tells of a trade.
    TradedQuote,
}

/// Makes a recording: `what` says of record `n` what it is, of which instrument, and at how many
/// microseconds. Its venue sequence and its price are `n`, from 1.
pub(crate) fn record(records: u32, what: impl Fn(u32) -> (Kind, u32, u32)) -> Recording {
    let (recording, mut encoder) = begin();
    for n in 1..=records {
        let (kind, instrument, micros) = what(n);
        let time = START + u64::from(micros) * 1_000;
        match kind {
            Kind::Trade => encoder.encode_record(&trade(n, instrument, time)).unwrap(),
            Kind::Quote => encoder.encode_record(&quote(n, instrument, time, b'A')).unwrap(),
            Kind::TradedQuote => encoder.encode_record(&quote(n, instrument, time, b'T')).unwrap(),
        }
    }
    recording
}

fn begin() -> (Recording, Encoder<File>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.dbn");
    let metadata = MetadataBuilder::new()
        .dataset("TEST".to_owned())
        .schema(None)
        .start(START)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .build();
    let encoder = Encoder::new(File::create(&path).unwrap(), &metadata).unwrap();
    (Recording { _folder: folder, path }, encoder)
}

/// Makes a recording of so many events of orders, one a millisecond, of two instruments: an order
/// comes every time, each third time the oldest of those that still rest goes, each seventh trades.
pub(crate) fn record_orders(events: u32) -> Recording {
    let (recording, mut encoder) = begin();
    let mut order = |n: u32, action: u8, of: u32, last: bool| {
        let time = START + u64::from(n) * 1_000_000;
        let bid = of.is_multiple_of(2);
        // Somewhere near the middle, on its own side of it.
        let away = i64::from(of.wrapping_mul(2_654_435_761) >> 28);
        let price = 1_000_000_000 * if bid { 99 - away } else { 101 + away };
        let mut order = MboMsg { price, size: 1 + of % 9, sequence: n, ..MboMsg::default() };
        (order.hd.instrument_id, order.hd.publisher_id) = (1 + of % 4 / 2, 64000);
        (order.hd.ts_event, order.ts_recv, order.order_id) = (time - 9, time, u64::from(of));
        (order.action, order.side) = (action as _, if bid { b'B' } else { b'A' } as _);
        order.flags = FlagSet::new(if last { flags::LAST } else { 0 });
        encoder.encode_record(&order).unwrap();
    };
    for n in 1..=events {
        let goes = n.is_multiple_of(3) && n > 60;
        if goes && n.is_multiple_of(7) {
            order(n, b'T', n / 3, false);
            order(n, b'F', n / 3, false);
        }
        if goes {
            order(n, b'C', n / 3, false);
        }
        order(n, b'A', n, true);
    }
    recording
}

fn trade(n: u32, instrument: u32, time: u64) -> TradeMsg {
    let mut trade = TradeMsg { price: i64::from(n), size: 1, sequence: n, ..TradeMsg::default() };
    (trade.hd.instrument_id, trade.hd.publisher_id) = (instrument, 64000);
    (trade.hd.ts_event, trade.ts_recv, trade.hd.rtype) = (time, time, rtype::MBP_0);
    (trade.action, trade.side) = (b'T' as _, b'B' as _);
    trade
}

fn quote(n: u32, instrument: u32, time: u64, action: u8) -> Mbp1Msg {
    let mut quote = Mbp1Msg { price: i64::from(n), size: 1, sequence: n, ..Mbp1Msg::default() };
    (quote.hd.instrument_id, quote.hd.publisher_id) = (instrument, 64000);
    (quote.hd.ts_event, quote.ts_recv, quote.hd.rtype) = (time, time, rtype::MBP_1);
    (quote.action, quote.side) = (action as _, b'B' as _);
    quote
}

impl Recording {
    /// Plays it once so many connections have subscribed.
    pub(crate) fn play(&self, connections: usize, more: &[&str]) -> Program {
        let start = format!("on-subscribe={connections}");
        let path = self.path.to_str().unwrap();
        Program::start(&[&["replay", path, "--log", "error", "--start", &start][..], more].concat())
    }
}
