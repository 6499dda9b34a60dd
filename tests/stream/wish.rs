//! What a test subscribed to, and which records that is: the protocol's words, written down again.

use std::collections::HashSet;

use dbn::rtype;
use serde_json::Value;

use crate::wire::Record;

/// One subscription as its client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) id: u64,
    schemas: HashSet<String>,
    symbols: Vec<String>,
    /// Taken out again: schema and symbol.
    except: HashSet<(String, String)>,
    /// Records that came since it began.
    pub(crate) records: u64,
}

impl Wish {
    /// From the params of a request.
    pub(crate) fn new(id: u64, params: &Value) -> Self {
        let (schemas, symbols) = (texts(&params["schema"]), texts(&params["symbols"]));
        let schemas = schemas.into_iter().collect();
        Self { id, schemas, symbols, except: HashSet::new(), records: 0 }
    }

    /// Does it ask for this record of this instrument?
    pub(crate) fn covers(&self, record: &Record, symbol: &str) -> bool {
        let asked = |schema: &&str| {
            self.schemas.contains(*schema)
                && !self.except.contains(&((*schema).to_owned(), symbol.to_owned()))
        };
        schemas_of(record).iter().any(asked)
            && self.symbols.iter().any(|pattern| matches(pattern, symbol))
    }

    /// Takes schemas, or symbols of them, out; `known` are all symbols there are.
    pub(crate) fn subtract(&mut self, params: &Value, known: &HashSet<String>) {
        let symbols = texts(&params["symbols"]);
        for schema in texts(&params["schema"]) {
            if symbols == ["*"] {
                self.schemas.remove(&schema);
                continue;
            }
            let gone = |symbol: &&String| symbols.iter().any(|pattern| matches(pattern, symbol));
            for symbol in known.iter().filter(gone) {
                self.except.insert((schema.clone(), symbol.clone()));
            }
        }
    }
}

/// A string or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The schemas that a record belongs to.
fn schemas_of(record: &Record) -> &'static [&'static str] {
    match record.rtype {
        rtype::MBP_0 => &["trades"],
        rtype::MBP_1 if record.tbbo => &["mbp-1", "tbbo"],
        rtype::MBP_1 => &["mbp-1"],
        rtype::STATUS => &["status"],
        rtype::INSTRUMENT_DEF => &["definition"],
        rtype::OHLCV_1S => &["ohlcv-1s"],
        rtype::OHLCV_1M => &["ohlcv-1m"],
        rtype::OHLCV_1H => &["ohlcv-1h"],
        rtype::OHLCV_1D => &["ohlcv-1d"],
        rtype::BBO_1S => &["bbo-1s"],
        rtype::BBO_1M => &["bbo-1m"],
        other => panic!("nobody asks for records of type {other}"),
    }
}

/// Each `*` of a pattern stands for any text.
fn matches(pattern: &str, symbol: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == symbol };
    let Some(rest) = symbol.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|at| matches(tail, &rest[at..]))
}

#[test]
fn patterns_match_as_the_protocol_says() {
    for (pattern, symbol, right) in [
        ("*", "A", true),
        ("A", "AB", false),
        ("A*", "AB", true),
        ("*B", "AB", true),
        ("A*C*", "ABCD", true),
        ("A*D*E", "ABCD", false),
    ] {
        assert_eq!(matches(pattern, symbol), right, "{pattern} {symbol}");
    }
}
