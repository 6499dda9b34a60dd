//! Recorded messages of Binance and Coinbase, one a line.
#![no_main]

use broadtape::feed::source::{Format, How};
use broadtape_fuzz::{file, read};
use libfuzzer_sys::fuzz_target;

const EXCHANGES: [Format; 3] = [Format::BinanceSpot, Format::BinanceUsdm, Format::Coinbase];

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let exchange = EXCHANGES[usize::from(*choice) % EXCHANGES.len()];
    let mut how = How::default();
    if choice & 0x80 != 0 {
        how.add_lot("BTC=0.001").expect("a lot");
    }
    read(exchange, vec![file("input.json", data)], how);
});
