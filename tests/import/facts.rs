//! What is known of each recording (`data/README.md` beside them) is what the importers find.

use std::collections::BTreeSet;

use dbn::{MboMsg, Mbp1Msg, TradeMsg};

use crate::program::{broadtape, recording, succeed};
use crate::{import, kinds, of};

/// The futures' traded volume in lots of 0.001 BTC.
const FUTURES_VOLUME: u64 = 2_429_366;

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
    assert_eq!(imported.found("times that go back"), 0);
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

#[test]
fn binance_futures_come_whole() {
    let Some(file) = recording("binance_usdm_btcusdt_20240808.gz") else { return };
    let imported = import("binance-usdm", &file, &[]);
    assert_eq!(imported.told("messages"), 93_954);
    let kinds = ["bookTicker", "trade ", "depthUpdate"].map(|kind| imported.told(kind));
    assert_eq!(kinds, [66_089, 21_313, 6_551]);
    assert_eq!(imported.found("holes in the updates of a book"), 0);
    assert_eq!(imported.found("times that go back"), 0);
    let counts = imported.counts();
    assert_eq!(counts[&kinds::TRADES], 21_313);
    let mut volume = 0;
    imported.read(|record| {
        if let Some(trade) = record.get::<TradeMsg>() {
            volume += u64::from(trade.size);
        }
    });
    // As a decimal sum of the recording's own quantities says.
    assert_eq!(volume, FUTURES_VOLUME);
}

#[test]
fn binance_spot_comes_whole() {
    let Some(file) = recording("binance_spot_btcusdt_20240808.gz") else { return };
    let imported = import("binance-spot", &file, &[]);
    assert_eq!(imported.told("messages"), 41_249);
    let kinds = ["bookTicker", "trade ", "depthUpdate"].map(|kind| imported.told(kind));
    assert_eq!(kinds, [28_040, 9_757, 3_451]);
    assert_eq!(imported.found("holes in the updates of a book"), 0);
    assert_eq!(imported.found("times that go back"), 0);
    assert_eq!(imported.counts()[&kinds::TRADES], 9_757);
}

#[test]
fn coinbase_comes_whole_but_for_what_no_record_holds() {
    let Some(file) = recording("cryptofeed_COINBASE.ws.28.0") else { return };
    let out = tempfile::tempdir().unwrap();
    let mut command = broadtape();
    command.args(["import", "coinbase", "-o"]).arg(out.path().join("x.dbn")).arg(&file);
    let refused = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(
        refused.contains("line 14: size") && refused.contains("--lot NU-GBP=skip"),
        "{refused}"
    );
    let imported = import("coinbase", &file, &["--lot", "NU-GBP=skip"]);
    assert_eq!(imported.told("messages"), 9_946);
    let kinds = ["l2update", "ticker", "match ", "snapshot"].map(|kind| imported.told(kind));
    assert_eq!(kinds, [9_719, 107, 97, 10]);
    assert_eq!(imported.told("instruments"), 9);
}

#[test]
fn lobster_says_each_order() {
    let Some(file) = recording("lobster_AAPL_message_10_first999.csv") else { return };
    let imported = import("lobster", &file, &["--symbol", "AAPL", "--date", "2012-06-21"]);
    assert_eq!(imported.told("messages"), 999);
    let lines = std::fs::read_to_string(&file).unwrap();
    let of =
        |kind: &str| lines.lines().filter(|l| l.split(',').nth(1) == Some(kind)).count() as u64;
    let executed = of("4");
    let counts = imported.counts();
    assert_eq!(counts[&kinds::MBO], of("1") + of("2") + of("3") + 3 * executed);
    assert_eq!(counts.get(&kinds::TRADES).copied().unwrap_or_default(), of("5") + of("6"));
    let mut first = None;
    imported.read(|record| {
        if let Some(order) = record.get::<MboMsg>() {
            first.get_or_insert((order.hd.ts_event, order.order_id, order.price, order.size));
        }
    });
    let nine_thirty = 1_340_285_400_000_000_000;
    let expected = (nine_thirty + 4_241_176, 16_113_575, 585_330_000_000, 18);
    assert_eq!(first, Some(expected));
}

#[test]
fn two_lines_of_cme_become_one() {
    let Some(file) = recording("cme_mdp3_ab_feed_20161112.pcap") else { return };
    let said = succeed(broadtape().args(["inspect", "--json"]).arg(&file));
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let capture = &report[0]["capture"];
    let told = |key: &str| capture[key].as_str().unwrap().to_owned();
    assert_eq!((told("framing"), told("unit")), ("CME MDP 3".into(), "packets".into()));
    let counts = ["packets", "kept", "first_number", "last_number"].map(told);
    assert_eq!(counts, ["10000", "5000", "5615", "10614"]);
    let lines = capture["lines"].as_array().unwrap().iter();
    let mut lines: Vec<_> =
        lines.map(|line| (line["packets"].clone(), line["first"].clone())).collect();
    lines.sort_by_key(|(_, first)| first.to_string());
    assert_eq!(lines, [("5000".into(), "4250".into()), ("5000".into(), "750".into())]);
    let found = capture["found"].as_array().unwrap().iter();
    let found: Vec<_> = found.map(|f| (f["what"].as_str().unwrap(), f["count"].clone())).collect();
    assert!(found.contains(&("packets that came again", "5000".into())), "{found:?}");
    assert!(found.contains(&("times of capture that go back", "581".into())), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}
