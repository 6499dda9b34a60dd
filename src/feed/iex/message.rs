//! IEX TOPS 1.6 and DEEP 1.0: a message as its fields, sans I/O. Little-endian; prices in 1e-4.

use crate::clock::UnixNanos;
use crate::wire::record::{u32_at, u64_at};

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) time: UnixNanos,
    /// Empty: it is about the whole market.
    pub(super) symbol: &'a str,
    pub(super) body: Body,
}

/// What it says, prices in 1e-9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// S: the day begins, ends, hours begin, end.
    System,
    /// D: an instrument of the day.
    Directory { lot: u32, flags: u8, close: i64 },
    /// H: halted, paused, orders accepted, trading.
    Trading { status: u8, reason: [u8; 4] },
    /// O: this market halts an instrument.
    Operational { status: u8 },
    /// P: short sale price test.
    ShortSale { status: u8 },
    /// Q (TOPS): the best bid and offer; price and size 0: none.
    Quote { bid: (i64, u32), ask: (i64, u32) },
    /// T: a trade.
    Trade { size: u32, price: i64 },
    /// B: a trade that doesn't stand.
    Break,
    /// X: the official opening (Q) or closing (M) price.
    Official { kind: u8, price: i64 },
    /// A: an auction's imbalance.
    Auction(Auction),
    /// 8, 5 (DEEP): a price level; `last`: the event is complete.
    Level { buy: bool, last: bool, size: u32, price: i64 },
    /// E (DEEP): the opening or closing process of an instrument is done.
    Security,
}

/// An auction's imbalance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Auction {
    /// O opening, C closing, I IPO, H halt, V volatility.
    pub(super) kind: u8,
    pub(super) paired: u32,
    pub(super) reference: i64,
    pub(super) indicative: i64,
    pub(super) imbalance: u32,
    /// B, S, or N.
    pub(super) side: u8,
    pub(super) extensions: u8,
    /// Seconds since the epoch.
    pub(super) time: u32,
    pub(super) clearing: i64,
    pub(super) lower: i64,
    pub(super) upper: i64,
}

/// 1e-9 in 1e-4, the unit of IEX prices.
const PRICE: i64 = 100_000;

/// The name and the bytes of each kind of message.
pub(super) const fn kind(kind: u8) -> Option<(&'static str, usize)> {
    Some(match kind {
        b'S' => ("S system event", 10),
        b'D' => ("D security directory", 31),
        b'H' => ("H trading status", 22),
        b'O' => ("O operational halt", 18),
        b'P' => ("P short sale price test", 19),
        b'Q' => ("Q quote update", 42),
        b'T' => ("T trade report", 38),
        b'B' => ("B trade break", 38),
        b'X' => ("X official price", 26),
        b'A' => ("A auction information", 80),
        b'8' => ("8 buy price level", 30),
        b'5' => ("5 sell price level", 30),
        b'E' => ("E security event", 18),
        _ => return None,
    })
}

/// Reads a message.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub(super) fn parse(m: &[u8]) -> Result<(&'static str, Message<'_>), String> {
    let first = m.first().copied().ok_or("is empty")?;
    let shown = first.escape_ascii();
    let unknown = || format!("type \"{shown}\" is none of TOPS or DEEP");
    let (name, length) = kind(first).ok_or_else(unknown)?;
    if m.len() != length {
        return Err(format!("type \"{shown}\" with {} bytes, which has {length}", m.len()));
    }
    let symbol = if first == b'S' { "" } else { symbol(m)? };
    Ok((name, Message { time: u64_at(m, 2), symbol, body: body(m)? }))
}

/// The rest of a message whose length has been checked.
fn body(m: &[u8]) -> Result<Body, String> {
    Ok(match m[0] {
        b'S' => Body::System,
        b'D' => Body::Directory { flags: m[1], lot: u32_at(m, 18), close: price(m, 22)? },
        b'H' => Body::Trading { status: m[1], reason: [m[18], m[19], m[20], m[21]] },
        b'O' => Body::Operational { status: m[1] },
        b'P' => Body::ShortSale { status: m[1] },
        b'Q' => {
            Body::Quote { bid: (price(m, 22)?, u32_at(m, 18)), ask: (price(m, 30)?, u32_at(m, 38)) }
        }
        b'T' => Body::Trade { size: u32_at(m, 18), price: price(m, 22)? },
        b'B' => Body::Break,
        b'X' => Body::Official { kind: m[1], price: price(m, 18)? },
        b'A' => Body::Auction(auction(m)?),
        b'8' | b'5' => Body::Level {
            buy: m[0] == b'8',
            last: m[1] & 1 != 0,
            size: u32_at(m, 18),
            price: price(m, 22)?,
        },
        _ => Body::Security,
    })
}

fn auction(m: &[u8]) -> Result<Auction, String> {
    Ok(Auction {
        kind: m[1],
        paired: u32_at(m, 18),
        reference: price(m, 22)?,
        indicative: price(m, 30)?,
        imbalance: u32_at(m, 38),
        side: m[42],
        extensions: m[43],
        time: u32_at(m, 44),
        clearing: price(m, 48)?,
        lower: price(m, 64)?,
        upper: price(m, 72)?,
    })
}

fn price(m: &[u8], at: usize) -> Result<i64, String> {
    let raw = u64_at(m, at) as i64;
    raw.checked_mul(PRICE).ok_or_else(|| format!("a price of {raw} / 10000, which no record holds"))
}

/// Eight characters, padded with blanks.
fn symbol(m: &[u8]) -> Result<&str, String> {
    let field = &m[10..18];
    let text = std::str::from_utf8(field).map(str::trim_ascii_end).unwrap_or_default();
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let wrong = || format!("symbol \"{}\" is no text", field.escape_ascii());
    if good { Ok(text) } else { Err(wrong()) }
}
