//! CSV files and mappings made by hand, whole and damaged.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::feed::source::testing::{Brought, bring, damage, file, recording};
use crate::wire::record::{rtype, u64_at};

const TRADES: &str = "schema = \"trades\"\ntime = \"ms\"\n[columns]\ntime = \"ts\"\n\
                      symbol = \"sym\"\nprice = \"px\"\nsize = \"qty\"\nside = \"side\"\n";
const ROWS: &str = "ts,sym,px,qty,side\n1700000000000.5,\"A,B\",1.25,3,buy\n\
                    1700000000001,X,2,4,S\n1700000000001,X,2,4,\n";

fn read(mapping: &str, rows: &[u8], lots: &[&str]) -> Brought {
    let (mapping, rows) = (file(mapping.as_bytes()), file(rows));
    let mut of = recording(Format::Csv, rows.path());
    let how = Arc::make_mut(&mut of.how);
    how.mapping = Some(mapping.path().to_owned());
    lots.iter().for_each(|lot| how.add_lot(lot).unwrap());
    bring(&of)
}

fn event(name: &str, order: u64, price: i64, size: u32) -> (String, u64, i64, u32) {
    (name.to_owned(), order, price, size)
}

#[test]
fn trades_are_read_by_their_columns() {
    let brought = read(TRADES, ROWS.as_bytes(), &["X=0.5"]);
    assert_eq!(brought.error, None);
    let expected = [
        event("TB.", 0, 1_250_000_000, 3),
        event("TA.", 0, 2_000_000_000, 8),
        event("TN.", 0, 2_000_000_000, 8),
    ];
    assert_eq!(brought.events(), expected);
    let trade = brought.of(rtype::MBP_0).next().unwrap();
    assert_eq!(u64_at(trade, 8), 1_700_000_000_000_500_000);
}

#[test]
fn quotes_and_orders_are_read_too() {
    let quotes = "schema = \"mbp-1\"\nheader = false\ndelimiter = \";\"\ntime = \"iso\"\n\
                  [columns]\ntime = 1\nsymbol = 2\nbid = 3\nask = 4\nbid_size = 5\n";
    let brought = read(quotes, b"2021-04-17 16:43:37.5;X;1;;7\n", &[]);
    assert_eq!(brought.error, None);
    let quote = brought.of(rtype::MBP_1).next().unwrap();
    let fields = [8, 48, 56].map(|at| u64_at(quote, at));
    assert_eq!(fields, [1_618_677_817_500_000_000, 1_000_000_000, i64::MAX as u64]);
    let orders = "schema = \"mbo\"\nheader = false\ntime = \"s\"\n[columns]\ntime = 1\n\
                  symbol = 2\nprice = 3\nsize = 4\nside = 5\norder = 6\naction = 7\n";
    let brought = read(orders, b"1700000000,X,5,1,B,18446744073709551615,A\n", &[]);
    assert_eq!(brought.events(), [event("AB.", u64::MAX, 5_000_000_000, 1)]);
}

#[test]
fn what_is_wrong_is_told() {
    let first = "ts,sym,px,qty,side\n";
    for (line, said) in [
        ("1,X,1,1.5,B\n", "line 2: size 1.5 of X is no whole number of lots of 1"),
        ("1,X,one,1,B\n", "line 2: Price \"one\" is no decimal"),
        ("then,X,1,1,B\n", "line 2: time \"then\" is no time"),
        ("1,,1,1,B\n", "line 2: has no Symbol"),
        ("1,A\u{7}B,1,1,B\n", "line 2: symbol \"A\\u{7}B\" names no instrument"),
        ("1,X,1,1,up\n", "line 2: side \"up\" is neither B, buy, bid nor S"),
    ] {
        let error = read(TRADES, format!("{first}{line}").as_bytes(), &[]).error.unwrap();
        assert!(error.contains(said), "{error}");
    }
    let error = read(TRADES, b"a,b\n1,2\n", &[]).error.unwrap();
    assert!(error.contains("no column \"ts\" in the header; it has [\"a\", \"b\"]"), "{error}");
    for (mapping, said) in [
        ("schema = \"bars\"\ntime = \"s\"\n[columns]\n", "it is trades, mbp-1 or mbo"),
        ("schema = \"trades\"\ntime = \"s\"\n[columns]\ntime = 1\n", "a column for Symbol"),
        ("schema = 1", "is no mapping"),
    ] {
        let error = read(mapping, ROWS.as_bytes(), &[]).error.unwrap();
        assert!(error.contains(said), "{error}");
    }
    let of = recording(Format::Csv, file(b"x").path());
    assert!(bring(&of).error.unwrap().contains("--mapping columns.toml"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_and_mappings_are_read_or_refused(
        rows in damage(ROWS.as_bytes().to_vec()),
        mapping in damage(TRADES.as_bytes().to_vec()),
    ) {
        read(TRADES, &rows, &[]);
        if let Ok(mapping) = std::str::from_utf8(&mapping) {
            read(mapping, &rows, &["X=0.5"]);
        }
    }
}
