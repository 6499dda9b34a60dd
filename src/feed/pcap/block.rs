//! The containers of captures, pcap and pcapng: where packets lie in them, sans I/O.

use crate::clock::UnixNanos;
use crate::limits::PACKET_MAX;

/// What stands at the beginning of some bytes of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes are needed to tell.
    Need(usize),
    /// Nothing to read; so many bytes to go on by.
    Skip(usize),
    /// A packet.
    Packet(Found),
}

/// Where a packet lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// When it was captured.
    pub(super) time: UnixNanos,
    /// What the link is.
    pub(super) link: u32,
    /// Its first byte.
    pub(super) at: usize,
    /// Bytes that were kept of it.
    pub(super) length: usize,
    /// Bytes to go on by.
    pub(super) taken: usize,
}

/// A container and what its headers said.
#[derive(Clone, Debug)]
pub(super) enum Container {
    /// pcap: byte order, ns in one of its fractions of a second, link.
    Classic { big: bool, fraction: u64, link: u32 },
    /// pcapng: byte order of the section, its interfaces.
    Next { big: bool, interfaces: Vec<Interface> },
}

/// An interface of pcapng: its link, and ticks a second of its clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    link: u32,
    ticks: u64,
}

/// Bytes of the header of a pcap file, and of a packet in it.
const CLASSIC: usize = 24;
const CLASSIC_PACKET: usize = 16;
/// Interfaces of one pcapng section.
const INTERFACES_MAX: usize = 4096;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const ENHANCED: u32 = 6;

/// Bytes that [`Container::begin`] looks at.
pub(super) const BEGIN: usize = CLASSIC;

impl Container {
    /// Reads the beginning of a file; none where it is no capture. Returns the bytes to go on by.
    pub(super) fn begin(head: &[u8]) -> Option<(Self, usize)> {
        let (magic, whole) = (head.get(..4)?, head.get(..CLASSIC));
        let (big, fraction) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                return Some((Self::Next { big: false, interfaces: Vec::new() }, 0));
            }
            _ => return None,
        };
        // The upper bits say whether a checksum ends each frame: padding to us.
        let link = u32_of(whole?, 20, big)? & 0xffff;
        Some((Self::Classic { big, fraction, link }, CLASSIC))
    }

    /// What stands at the beginning of these bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn step(&mut self, data: &[u8]) -> Result<Step, String> {
        match self {
            Self::Classic { big, fraction, link } => classic(data, *big, *fraction, *link),
            Self::Next { big, interfaces } => next(data, big, interfaces),
        }
    }
}

fn classic(data: &[u8], big: bool, fraction: u64, link: u32) -> Result<Step, String> {
    let field = |at| u32_of(data, at, big);
    let Some((seconds, part, length)) = (|| Some((field(0)?, field(4)?, field(8)?)))() else {
        return Ok(Step::Need(CLASSIC_PACKET));
    };
    let length = bounded(length, "packet")?;
    let taken = CLASSIC_PACKET + length;
    if data.len() < taken {
        return Ok(Step::Need(taken));
    }
    let time = u64::from(seconds) * 1_000_000_000 + u64::from(part) * fraction;
    Ok(Step::Packet(Found { time, link, at: CLASSIC_PACKET, length, taken }))
}

fn next(data: &[u8], big: &mut bool, interfaces: &mut Vec<Interface>) -> Result<Step, String> {
    const LEAST: usize = 12;
    if data.len() < LEAST {
        return Ok(Step::Need(LEAST));
    }
    let raw = u32_of(data, 0, false).unwrap_or_default();
    if raw == SECTION {
        *big = match data[8..12] {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            _ => return Err("a section of pcapng without its byte order".to_owned()),
        };
        interfaces.clear();
    }
    let kind = u32_of(data, 0, *big).unwrap_or_default();
    let taken = bounded(u32_of(data, 4, *big).unwrap_or_default(), "block")?;
    if taken < LEAST || !taken.is_multiple_of(4) {
        return Err(format!("a block of {taken} bytes; it has a multiple of 4, at least 12"));
    }
    if data.len() < taken {
        return Ok(Step::Need(taken));
    }
    let body = &data[8..taken - 4];
    match kind {
        INTERFACE => {
            if interfaces.len() == INTERFACES_MAX {
                return Err(format!("more than {INTERFACES_MAX} interfaces"));
            }
            interfaces.push(interface(body, *big)?);
            Ok(Step::Skip(taken))
        }
        ENHANCED | OLD_PACKET => packet(kind, body, *big, interfaces, taken).map(Step::Packet),
        // Simple packets have no time; names, statistics and secrets hold none.
        _ => Ok(Step::Skip(taken)),
    }
}

/// An interface description: link, reserved, snap length, options.
fn interface(body: &[u8], big: bool) -> Result<Interface, String> {
    const RESOLUTION: u16 = 9;
    let link = u16_of(body, 0, big).ok_or("an interface without its link")?;
    let (mut at, mut ticks) = (8, 1_000_000);
    while let (Some(code), Some(length)) = (u16_of(body, at, big), u16_of(body, at + 2, big)) {
        if code == 0 {
            break;
        }
        if let (RESOLUTION, Some(&value)) = (code, body.get(at + 4)) {
            let exponent = u32::from(value & 0x7f);
            let base: u64 = if value & 0x80 == 0 { 10 } else { 2 };
            let wrong = || format!("an interface with a clock of {base}^{exponent} ticks a second");
            ticks = base.checked_pow(exponent).ok_or_else(wrong)?;
        }
        at += 4 + usize::from(length).next_multiple_of(4);
    }
    Ok(Interface { link: u32::from(link), ticks })
}

/// An enhanced packet, or the older kind, whose interface and drops share the first word.
fn packet(
    kind: u32,
    body: &[u8],
    big: bool,
    interfaces: &[Interface],
    taken: usize,
) -> Result<Found, String> {
    const HEADER: usize = 20;
    let field = |at| u32_of(body, at, big);
    let wide = field(0).filter(|_| kind == ENHANCED);
    let narrow = u16_of(body, 0, big).map(u32::from);
    let number = wide.or(narrow).unwrap_or(u32::MAX);
    let interface = interfaces.get(number as usize);
    let interface =
        interface.ok_or_else(|| format!("a packet of the unknown interface {number}"))?;
    let high = u64::from(field(4).unwrap_or_default());
    let low = u64::from(field(8).unwrap_or_default());
    let length = field(12).unwrap_or(u32::MAX) as usize;
    if length > body.len().saturating_sub(HEADER) {
        return Err(format!("a packet of {length} bytes in a block of {}", body.len()));
    }
    let ticks = u128::from(high << 32 | low);
    let time = ticks * 1_000_000_000 / u128::from(interface.ticks);
    let time = u64::try_from(time).map_err(|_| "a packet from after the year 2554")?;
    Ok(Found { time, link: interface.link, at: 8 + HEADER, length, taken })
}

fn bounded(length: u32, what: &str) -> Result<usize, String> {
    let length = length as usize;
    if length > PACKET_MAX {
        return Err(format!("a {what} of {length} bytes; at most {PACKET_MAX} are read"));
    }
    Ok(length)
}

fn u32_of(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

fn u16_of(bytes: &[u8], at: usize, big: bool) -> Option<u16> {
    let word: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(if big { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
}
