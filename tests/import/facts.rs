//! What is known of each recording (`data/README.md` beside them) is what the importers find.

use std::collections::BTreeSet;

use dbn::{MboMsg, Mbp1Msg, TradeMsg};

use crate::program::recording;
use crate::{import, kinds, of};

#[test]
fn itch_begins_mid_day_and_says_so() {
    let Some(file) = recording("12302019_SNIPPET.NASDAQ_ITCH50") else { return };
    let imported = import("itch", &file, &["--date", "2019-12-30"]);
    let kinds = ["A add", "U ", "F ", "D ", "E ", "X ", "I ", "P ", "Q ", "S ", "C "];
    let counts = kinds.map(|kind| imported.told(kind));
    assert_eq!(counts, [367, 225, 193, 167, 28, 6, 4, 4, 4, 1, 1], "{}", imported.said);
    assert_eq!(imported.told("messages"), 1_000);
    let expected = of([(kinds::TRADES, 6), (kinds::IMBALANCE, 4), (kinds::MBO, 588)]);
    assert_eq!(imported.counts(), expected);
    let (mut added, mut times) = (BTreeSet::new(), Vec::new());
    let metadata = imported.read(|record| {
        if let Some(order) = record.get::<MboMsg>() {
            times.push(order.hd.ts_event);
            if order.action as u8 == b'A' {
                added.insert(order.hd.instrument_id);
            }
        }
    });
    assert_eq!((added.len(), metadata.symbols.len()), (185, 190));
    assert_eq!((metadata.dataset.as_str(), metadata.schema), ("NASDAQ.ITCH5", None));
    // 09:30 in New York, and the 2.4 ms after it.
    let open = 1_577_716_200_000_000_000;
    assert!(times.iter().all(|time| (open..open + 2_364_612).contains(time)));
    assert!(times.is_sorted());
}

#[test]
fn iex_comes_whole() {
    let Some(file) = recording("iex_TOPS16.pcapng.gz") else { return };
    let imported = import("iex", &file, &[]);
    assert_eq!(imported.told("messages"), 57_674);
    assert_eq!((imported.told("Q quote"), imported.told("T trade")), (27_217, 6_390));
    assert_eq!(imported.told("instruments"), 7_799);
    assert_eq!(imported.found("numbers that never came"), 0);
    let (mut quotes, mut trades) = (0, Vec::new());
    let mut ticks = Vec::new();
    imported.read(|record| {
        if let Some(quote) = record.get::<Mbp1Msg>() {
            match quote.action as u8 {
                b'T' => ticks.push((quote.hd.instrument_id, quote.price, quote.size)),
                _ => quotes += 1,
            }
        }
        if let Some(trade) = record.get::<TradeMsg>() {
            trades.push((trade.hd.instrument_id, trade.price, trade.size));
        }
    });
    assert_eq!((quotes, trades.len()), (27_217, 6_390));
    assert_eq!(trades, ticks);
}

#[test]
fn dbn_of_any_version_comes_through() {
    let files = [
        ("esh4-glbx-mdp3-20231225.mbo.dbn.zst", (kinds::MBO, 68_792), "ESH4"),
        ("databento_ESU4_trades_2024-07-01T2358.dbn.zst", (kinds::TRADES, 120), "ESU4"),
        ("databento_ESU4_mbp-1_2024-07-01T2358.dbn.zst", (kinds::MBP_1, 2_288), "ESU4"),
    ];
    for (name, count, symbol) in files {
        let Some(file) = recording(name) else { return };
        let imported = import("dbn", &file, &[]);
        assert_eq!(imported.counts(), of([count]), "{name}");
        let metadata = imported.read(|_| ());
        assert_eq!((metadata.symbols, metadata.dataset), (vec![symbol.into()], "GLBX.MDP3".into()));
    }
}
