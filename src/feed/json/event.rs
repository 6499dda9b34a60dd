//! What a message of an exchange says, in the words that all of them have in common.

use crate::clock::UnixNanos;
use crate::wire::record::Side;

/// A message. Numbers are as they were written.
pub(super) struct Event<'a> {
    /// What the exchange calls it.
    pub(super) kind: &'static str,
    /// Empty where it names none.
    pub(super) symbol: &'a str,
    /// When it happened, where it says that.
    pub(super) time: Option<UnixNanos>,
    /// Its number, 0 where it has none.
    pub(super) sequence: u64,
    pub(super) what: What<'a>,
}

/// What it says.
pub(super) enum What<'a> {
    /// The best bid and offer.
    Quote { bid: Level<'a>, ask: Level<'a> },
    /// A trade; the side is that of who came to the market.
    Trade { price: &'a str, size: &'a str, side: Side },
    /// New sizes of price levels.
    Depth { levels: Vec<(Side, Level<'a>)>, chain: Chain },
    /// A whole book, as of an update.
    Snapshot { levels: Vec<(Side, Level<'a>)>, last: u64 },
    /// Nothing that becomes a record, and why.
    Nothing(&'static str),
}

/// A price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level<'a> {
    pub(super) price: &'a str,
    /// None where the exchange doesn't say it.
    pub(super) size: Option<&'a str>,
}

/// The numbers by which an exchange lets one check that no update is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// The first update of this message.
    pub(super) first: Option<u64>,
    /// Its last one.
    pub(super) last: Option<u64>,
    /// The last one of the message before it.
    pub(super) previous: Option<u64>,
}

impl<'a> Event<'a> {
    /// All sizes in it.
    pub(super) fn sizes(&self) -> Vec<&'a str> {
        match &self.what {
            What::Quote { bid, ask } => bid.size.into_iter().chain(ask.size).collect(),
            What::Trade { size, .. } => vec![size],
            What::Depth { levels, .. } | What::Snapshot { levels, .. } => {
                levels.iter().filter_map(|(_, level)| level.size).collect()
            }
            What::Nothing(_) => Vec::new(),
        }
    }
}
