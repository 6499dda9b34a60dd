//! json: a record to text, once, ours beside the `dbn` crate's own encoder, which prints the same
//! bytes (that is asserted here, and for all records in `wire::json`'s tests).

#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has nothing to say")]

use broadtape::wire::json;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dbn::encode::{DbnEncodable, EncodeRecordTextExt};
use dbn::{BidAskPair, Mbp1Msg, Publisher, RecordHeader, TradeMsg, WithTsOut, rtype};

const SYMBOL: &str = "ESZ6";
const TIME: u64 = 1_764_341_277_123_456_789;

fn trade() -> TradeMsg {
    TradeMsg {
        hd: RecordHeader::new::<TradeMsg>(rtype::MBP_0, Publisher::GlbxMdp3Glbx as u16, 5482, TIME),
        price: 5_871_250_000_000,
        size: 3,
        action: b'T' as _,
        side: b'A' as _,
        ts_recv: TIME + 12_345,
        ts_in_delta: 18_331,
        sequence: 7_412_902,
        ..TradeMsg::default()
    }
}

fn quote() -> Mbp1Msg {
    let level = BidAskPair {
        bid_px: 5_871_000_000_000,
        ask_px: 5_871_250_000_000,
        bid_sz: 41,
        ask_sz: 17,
        bid_ct: 22,
        ask_ct: 9,
    };
    Mbp1Msg {
        hd: RecordHeader::new::<Mbp1Msg>(rtype::MBP_1, Publisher::GlbxMdp3Glbx as u16, 5482, TIME),
        price: 5_871_000_000_000,
        size: 4,
        action: b'A' as _,
        side: b'B' as _,
        ts_recv: TIME + 12_345,
        ts_in_delta: 18_331,
        sequence: 7_412_903,
        levels: [level],
        ..Mbp1Msg::default()
    }
}

/// Ours and theirs, on the same published record.
fn record(c: &mut Criterion, name: &str, bytes: &[u8], theirs: impl Fn(&mut Vec<u8>)) {
    let (mut out, mut same) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
    json::encode(bytes, SYMBOL, &mut out);
    theirs(&mut same);
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&same).trim_end());
    let mut group = c.benchmark_group("json");
    group.bench_function(BenchmarkId::new("broadtape", name), |b| {
        b.iter(|| {
            out.clear();
            json::encode(std::hint::black_box(bytes), SYMBOL, &mut out);
            out.len()
        });
    });
    group.bench_function(BenchmarkId::new("dbn", name), |b| {
        b.iter(|| {
            same.clear();
            theirs(&mut same);
            same.len()
        });
    });
}

fn encoded<R: DbnEncodable>(record: &R, out: &mut Vec<u8>) {
    let mut encoder = dbn::encode::json::Encoder::new(out, false, true, true);
    encoder.encode_record_with_sym(std::hint::black_box(record), Some(SYMBOL)).unwrap();
}

fn records(c: &mut Criterion) {
    let (trade, quote) = (WithTsOut::new(trade(), TIME + 20_000), WithTsOut::new(quote(), TIME));
    record(c, "trade", trade.as_ref(), |out| encoded(&trade, out));
    record(c, "mbp-1", quote.as_ref(), |out| encoded(&quote, out));
}

criterion_group!(benches, records);
criterion_main!(benches);
