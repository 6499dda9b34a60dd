//! Protocols that number the messages of a stream in their packets: MoldUDP64, IEX-TP, CME MDP 3.

use crate::limits::PACKET_MAX;

/// A protocol around messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nasdaq's: session (10), sequence (u64), count (u16), big-endian; blocks of u16 and message.
    Mold,
    /// IEX's: a header of 40 bytes, little-endian; blocks of u16 and message.
    IexTp,
    /// CME's: each packet has a number (u32, little-endian) and its time (u64).
    Cme,
}

/// What the header of a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which stream it belongs to: a session of a channel.
    pub stream: u128,
    /// The number of its first message (CME: of the packet).
    pub sequence: u64,
    /// How many it counts; 0: it only says what comes next.
    pub count: u64,
    /// The protocol of its messages, where it says that.
    pub protocol: u16,
    /// When it was sent, where it says that.
    pub sent: Option<u64>,
    /// Bytes of the header.
    pub length: usize,
}

/// Messages of one packet: more don't fit any.
const COUNT_MAX: u64 = PACKET_MAX as u64 / 2;
/// A count that says that the session is over.
const MOLD_END: u16 = 0xffff;
/// Where a packet numbered from 1 begins again, as CME's do each week: so far back is no late one.
pub(super) const RESTART_DISTANCE: u64 = 10_000;

impl Framing {
    /// Reads the header of a packet.
    ///
    /// # Errors
    /// What it is instead.
    pub fn head(self, packet: &[u8]) -> Result<Head, &'static str> {
        let head = match self {
            Self::Mold => mold(packet)?,
            Self::IexTp => iex(packet)?,
            Self::Cme => cme(packet).ok_or("no CME packet: fewer than 12 bytes")?,
        };
        if head.count > COUNT_MAX || head.sequence.checked_add(head.count).is_none() {
            return Err("it counts more messages than a stream can have");
        }
        Ok(head)
    }

    /// Does a new run of a stream show only in its numbers?
    pub(super) fn restarts_by_number(self) -> bool {
        self == Self::Cme
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mold => "MoldUDP64",
            Self::IexTp => "IEX-TP",
            Self::Cme => "CME MDP 3",
        }
    }

    /// What its numbers count.
    pub fn unit(self) -> &'static str {
        if self == Self::Cme { "packets" } else { "messages" }
    }

    /// The messages behind a header.
    pub fn messages<'a>(self, packet: &'a [u8], head: &Head) -> Messages<'a> {
        // `head` was read of this packet.
        Messages { rest: &packet[head.length..], big: self == Self::Mold, left: head.count }
    }
}

impl std::str::FromStr for Framing {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mold" => Ok(Self::Mold),
            "iex" => Ok(Self::IexTp),
            "cme" => Ok(Self::Cme),
            _ => Err("it is mold, iex or cme"),
        }
    }
}

fn mold(packet: &[u8]) -> Result<Head, &'static str> {
    const LENGTH: usize = 20;
    let header = packet.get(..LENGTH).ok_or("no MoldUDP64: fewer than 20 bytes")?;
    let number = |at: usize, length: usize| {
        let bytes = &header[at..at + length];
        bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
    };
    let count = match number(18, 2) as u16 {
        MOLD_END => 0,
        count => u64::from(count),
    };
    let head = Head {
        stream: number(0, 10),
        sequence: number(10, 8) as u64,
        count,
        protocol: 0,
        sent: None,
        length: LENGTH,
    };
    let mut messages = Framing::Mold.messages(packet, &head);
    messages.by_ref().for_each(drop);
    if messages.left > 0 || !messages.rest.is_empty() {
        return Err("no MoldUDP64: its messages don't fill it");
    }
    Ok(head)
}

fn iex(packet: &[u8]) -> Result<Head, &'static str> {
    const LENGTH: usize = 40;
    let header = packet.get(..LENGTH).ok_or("no IEX-TP: fewer than 40 bytes")?;
    let short = |at| u16::from_le_bytes([header[at], header[at + 1]]);
    let word = |at| crate::wire::record::u32_at(header, at);
    let long = |at| crate::wire::record::u64_at(header, at);
    if header[0] != 1 {
        return Err("no IEX-TP of version 1");
    }
    if packet.len() != LENGTH + usize::from(short(12)) {
        return Err("no IEX-TP: its length says otherwise");
    }
    Ok(Head {
        stream: u128::from(word(4)) << 64 | u128::from(word(8)) << 16 | u128::from(short(2)),
        sequence: long(24),
        count: u64::from(short(14)),
        protocol: short(2),
        sent: Some(long(32)),
        length: LENGTH,
    })
}

fn cme(packet: &[u8]) -> Option<Head> {
    Some(Head {
        stream: 0,
        sequence: u64::from(u32::from_le_bytes(packet.get(..4)?.try_into().ok()?)),
        count: 1,
        protocol: 0,
        sent: Some(u64::from_le_bytes(packet.get(4..12)?.try_into().ok()?)),
        length: 12,
    })
}

/// The messages of a packet; where it is shorter than it says, they end early.
pub struct Messages<'a> {
    rest: &'a [u8],
    big: bool,
    left: u64,
}

impl Messages<'_> {
    /// Messages that it counts and that have not come.
    pub fn missing(&self) -> u64 {
        self.left
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let length =
            if self.big { u16::from_be_bytes(*length) } else { u16::from_le_bytes(*length) };
        let (message, rest) = rest.split_at_checked(usize::from(length))?;
        (self.rest, self.left) = (rest, self.left - 1);
        Some(message)
    }
}
