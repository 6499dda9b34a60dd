//! One update of the ticker: what a person wants to know of a record.

use serde::{Serialize, Serializer};

use super::price::Price;

/// Price and size of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Level {
    pub(crate) price: Price,
    pub(crate) size: u32,
}

/// Who crossed the spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Buy,
    Sell,
}

impl Side {
    /// Of DBN's `side`; for a trade that is the aggressor's.
    pub(crate) fn of(code: u8) -> Option<Self> {
        match code {
            b'B' => Some(Self::Buy),
            b'A' => Some(Self::Sell),
            _ => None,
        }
    }
}

/// What happened to one instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Update {
    /// When it happened, ns since the UNIX epoch; a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub(crate) ts_event: u64,
    pub(crate) symbol: String,
    pub(crate) schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) side: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bid: Option<Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ask: Option<Level>,
    /// What has no column: the rest of a bar, a halt and its reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

fn as_string<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

impl Update {
    /// One of which nothing is known but when and what it was.
    pub(crate) fn bare(ts_event: u64, symbol: String, schema: &'static str) -> Self {
        let (price, size, side, bid, ask) = (None, None, None, None, None);
        Self { ts_event, symbol, schema, price, size, side, bid, ask, note: String::new() }
    }
}
