//! Recordings that tests make, so that what a client has to receive is known record by record.

use std::fs::File;
use std::path::PathBuf;

use dbn::encode::{EncodeRecord, dbn::Encoder};
use dbn::{Mbp1Msg, MetadataBuilder, SType, TradeMsg, rtype};

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
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.dbn");
    let metadata = MetadataBuilder::new()
        .dataset("TEST".to_owned())
        .schema(None)
        .start(START)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .build();
    let mut encoder = Encoder::new(File::create(&path).unwrap(), &metadata).unwrap();
    for n in 1..=records {
        let (kind, instrument, micros) = what(n);
        let time = START + u64::from(micros) * 1_000;
        match kind {
            Kind::Trade => encoder.encode_record(&trade(n, instrument, time)).unwrap(),
            Kind::Quote => encoder.encode_record(&quote(n, instrument, time, b'A')).unwrap(),
            Kind::TradedQuote => encoder.encode_record(&quote(n, instrument, time, b'T')).unwrap(),
        }
    }
    Recording { _folder: folder, path }
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
