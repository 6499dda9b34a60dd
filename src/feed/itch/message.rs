//! Nasdaq TotalView-ITCH 5.0: a message as its fields, sans I/O. Big-endian; prices in 1e-4.

/// What a message says; its head is apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// S: the day begins, ends, trading begins, ends.
    System,
    /// R: an instrument of the day.
    Directory { symbol: &'a str, lot: u32 },
    /// H: trading of an instrument.
    Trading { symbol: &'a str, state: u8, reason: [u8; 4] },
    /// Y: short sale price test.
    ShortSale { symbol: &'a str, action: u8 },
    /// L: a market maker's position.
    Participant,
    /// V, W: the market-wide circuit breaker.
    Breaker,
    /// K: when quoting of a new issue begins.
    Ipo,
    /// J: collar of an auction after a pause.
    Collar,
    /// h: this market halts an instrument.
    Operational { symbol: &'a str, action: u8 },
    /// A, F: a new order.
    Add { order: u64, side: u8, size: u32, symbol: &'a str, price: u32 },
    /// E: executed at its price.
    Executed { order: u64, size: u32 },
    /// C: executed at another price; printable: it counts as a trade.
    ExecutedAt { order: u64, size: u32, printable: bool, price: u32 },
    /// X: partly cancelled.
    Cancel { order: u64, size: u32 },
    /// D: gone.
    Delete { order: u64 },
    /// U: gone, and another in its place.
    Replace { order: u64, new: u64, size: u32, price: u32 },
    /// P: a trade with an order that was not displayed.
    Trade { size: u32, symbol: &'a str, price: u32 },
    /// Q: an auction's trade.
    Cross { size: u64, symbol: &'a str, price: u32 },
    /// B: a trade that doesn't stand.
    Broken,
    /// I: an auction's imbalance.
    Imbalance(Imbalance<'a>),
    /// N: retail interest.
    Retail,
    /// O: prices of a direct listing.
    Listing,
}

/// I: an auction's imbalance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Imbalance<'a> {
    /// Its instrument.
    pub(super) symbol: &'a str,
    /// Shares that match.
    pub(super) paired: u64,
    /// Shares that don't.
    pub(super) unpaired: u64,
    /// Of which side they are: B, S, N none, O too few orders, P paused.
    pub(super) direction: u8,
    /// Where the auction would clear, with auction orders alone.
    pub(super) far: u32,
    /// The same with all orders.
    pub(super) near: u32,
    /// The price that it is reckoned at.
    pub(super) reference: u32,
    /// O opening, C closing, H after a halt, A extended.
    pub(super) cross: u8,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// The instrument's number of the day; 0: none.
    pub(super) locate: u16,
    /// ns since midnight.
    pub(super) time: u64,
    /// The rest.
    pub(super) body: Body<'a>,
}

/// Bytes of the longest message.
pub(super) const LONGEST: usize = 50;
/// ns of a day, and an hour that some days are longer.
const DAY_MAX: u64 = 25 * 3_600_000_000_000;

/// The name and the bytes of each kind of message.
pub(super) const fn kind(kind: u8) -> Option<(&'static str, usize)> {
    Some(match kind {
        b'S' => ("S system event", 12),
        b'R' => ("R stock directory", 39),
        b'H' => ("H trading action", 25),
        b'Y' => ("Y short sale restriction", 20),
        b'L' => ("L participant position", 26),
        b'V' => ("V circuit breaker levels", 35),
        b'W' => ("W circuit breaker status", 12),
        b'K' => ("K IPO quoting", 28),
        b'J' => ("J auction collar", 35),
        b'h' => ("h operational halt", 21),
        b'A' => ("A add order", 36),
        b'F' => ("F add order, attributed", 40),
        b'E' => ("E order executed", 31),
        b'C' => ("C order executed with price", 36),
        b'X' => ("X order cancel", 23),
        b'D' => ("D order delete", 19),
        b'U' => ("U order replace", 35),
        b'P' => ("P trade", 44),
        b'Q' => ("Q cross trade", 40),
        b'B' => ("B broken trade", 19),
        b'I' => ("I imbalance", 50),
        b'N' => ("N retail interest", 20),
        b'O' => ("O direct listing", 48),
        _ => return None,
    })
}

/// Reads a message.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub(super) fn parse(bytes: &[u8]) -> Result<(&'static str, Message<'_>), String> {
    let first = bytes.first().copied().ok_or("is empty")?;
    let shown = first.escape_ascii();
    let unknown = || format!("type \"{shown}\" is none of ITCH 5.0");
    let (name, length) = kind(first).ok_or_else(unknown)?;
    if bytes.len() != length {
        return Err(format!("type \"{shown}\" with {} bytes, which has {length}", bytes.len()));
    }
    let time = uint(bytes, 5, 6);
    if time >= DAY_MAX {
        return Err(format!("{time} ns after midnight, which no day has"));
    }
    let message = Message { locate: uint(bytes, 1, 2) as u16, time, body: body(bytes)? };
    Ok((name, message))
}

/// The rest of a message whose length has been checked.
fn body(m: &[u8]) -> Result<Body<'_>, String> {
    let word = |at| uint(m, at, 4) as u32;
    let long = |at| uint(m, at, 8);
    let symbol = |at| symbol(m, at);
    Ok(match m[0] {
        b'S' => Body::System,
        b'R' => Body::Directory { symbol: symbol(11)?, lot: word(21) },
        b'H' => Body::Trading {
            symbol: symbol(11)?,
            state: m[19],
            reason: [m[21], m[22], m[23], m[24]],
        },
        b'Y' => Body::ShortSale { symbol: symbol(11)?, action: m[19] },
        b'L' => Body::Participant,
        b'V' | b'W' => Body::Breaker,
        b'K' => Body::Ipo,
        b'J' => Body::Collar,
        b'h' => Body::Operational { symbol: symbol(11)?, action: m[20] },
        b'A' | b'F' => Body::Add {
            order: long(11),
            side: m[19],
            size: word(20),
            symbol: symbol(24)?,
            price: word(32),
        },
        b'E' => Body::Executed { order: long(11), size: word(19) },
        b'C' => Body::ExecutedAt {
            order: long(11),
            size: word(19),
            printable: m[31] == b'Y',
            price: word(32),
        },
        b'X' => Body::Cancel { order: long(11), size: word(19) },
        b'D' => Body::Delete { order: long(11) },
        b'U' => Body::Replace { order: long(11), new: long(19), size: word(27), price: word(31) },
        b'P' => Body::Trade { size: word(20), symbol: symbol(24)?, price: word(32) },
        b'Q' => Body::Cross { size: long(11), symbol: symbol(19)?, price: word(27) },
        b'B' => Body::Broken,
        b'I' => Body::Imbalance(Imbalance {
            symbol: symbol(28)?,
            paired: long(11),
            unpaired: long(19),
            direction: m[27],
            far: word(36),
            near: word(40),
            reference: word(44),
            cross: m[48],
        }),
        b'N' => Body::Retail,
        _ => Body::Listing,
    })
}

/// Eight characters, padded with blanks.
fn symbol(message: &[u8], at: usize) -> Result<&str, String> {
    let field = &message[at..at + 8];
    let text = std::str::from_utf8(field).map(str::trim_ascii_end).unwrap_or_default();
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let wrong = || format!("symbol \"{}\" is no text", field.escape_ascii());
    if good { Ok(text) } else { Err(wrong()) }
}

/// A big-endian number of `length` bytes, at most 8.
fn uint(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
