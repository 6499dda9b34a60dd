//! The PROXY protocol, versions 1 and 2: a proxy says first for whom it connects.
//!
//! [`read`] is sans-I/O. It never asks for more than the header has, so that what follows stays in
//! the socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::limits::PROXY_HEADER_MAX;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1.
const LINE_MAX: usize = 107;
/// Signature, command, family and length of version 2.
const HEAD: usize = 16;

/// How far a header has been read.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// It has so many bytes more, at least.
    More(usize),
    /// It is whole: for whom; none: for the proxy itself.
    Whole(Option<SocketAddr>),
}

/// A header that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first bytes.
    #[error("there is no PROXY header")]
    Absent,
    /// A line of version 1.
    #[error("the PROXY line is malformed")]
    Line,
    /// Version 2.
    #[error("the binary PROXY header is malformed")]
    Binary,
    /// Something that is not TCP.
    #[error("the PROXY header is not about TCP")]
    Family,
    /// Longer than is read.
    #[error("the PROXY header is longer than {PROXY_HEADER_MAX} bytes")]
    Long,
}

/// Reads what has come of a header, from its first byte on.
///
/// # Errors
/// [`Malformed`] at the first byte that no header has there.
pub fn read(bytes: &[u8]) -> Result<Step, Malformed> {
    let begins = |with: &[u8]| {
        let common = with.len().min(bytes.len());
        bytes[..common] == with[..common]
    };
    match (begins(WORD), begins(SIGNATURE)) {
        (false, false) => Err(Malformed::Absent),
        _ if bytes.len() < SIGNATURE.len() => Ok(Step::More(SIGNATURE.len() - bytes.len())),
        (true, _) => line(bytes),
        (_, true) => binary(bytes),
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`
fn line(bytes: &[u8]) -> Result<Step, Malformed> {
    let Some(text) = bytes.strip_suffix(b"\r\n") else {
        let missing = if bytes.ends_with(b"\r") { 1 } else { 2 };
        let room = bytes.len() + missing <= LINE_MAX && !bytes.contains(&b'\n');
        return if room { Ok(Step::More(missing)) } else { Err(Malformed::Line) };
    };
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Line)?;
    if text.contains(['\r', '\n']) {
        return Err(Malformed::Line);
    }
    let words: Vec<&str> = text.split(' ').collect();
    match *words.as_slice() {
        [_, "UNKNOWN", ..] => Ok(Step::Whole(None)),
        [_, "TCP4", from, to, port, at] => pair::<Ipv4Addr>(from, to, port, at),
        [_, "TCP6", from, to, port, at] => pair::<Ipv6Addr>(from, to, port, at),
        _ => Err(Malformed::Line),
    }
}

fn pair<A: FromStr + Into<IpAddr>>(
    from: &str,
    to: &str,
    port: &str,
    at: &str,
) -> Result<Step, Malformed> {
    let address = |text: &str| text.parse::<A>().map_err(|_| Malformed::Line);
    let (source, _) = (address(from)?, address(to)?);
    let (source_port, _) = (decimal(port)?, decimal(at)?);
    Ok(Step::Whole(Some(SocketAddr::new(source.into(), source_port))))
}

/// A port as it is written, without signs and leading zeros.
fn decimal(text: &str) -> Result<u16, Malformed> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Malformed::Line)
}

fn binary(bytes: &[u8]) -> Result<Step, Malformed> {
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else {
        return Ok(Step::More(HEAD - bytes.len()));
    };
    let (command, family) = (head[12], head[13]);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if HEAD + length > PROXY_HEADER_MAX {
        return Err(Malformed::Long);
    }
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed::Binary),
    };
    if rest.len() < length {
        return Ok(Step::More(length - rest.len()));
    }
    match family {
        _ if local => Ok(Step::Whole(None)),
        0x00 => Ok(Step::Whole(None)),
        0x11 => source::<4, 12>(rest).map(|(ip, port)| whole(Ipv4Addr::from(ip).into(), port)),
        0x21 => source::<16, 36>(rest).map(|(ip, port)| whole(Ipv6Addr::from(ip).into(), port)),
        _ => Err(Malformed::Family),
    }
}

fn whole(ip: IpAddr, port: u16) -> Step {
    Step::Whole(Some(SocketAddr::new(ip, port)))
}

/// The source of a block of two addresses and two ports; what may follow it is of no use here.
fn source<const ADDRESS: usize, const BLOCK: usize>(
    bytes: &[u8],
) -> Result<([u8; ADDRESS], u16), Malformed> {
    let block: &[u8; BLOCK] = bytes.first_chunk().ok_or(Malformed::Binary)?;
    let (address, rest) = block.split_first_chunk().ok_or(Malformed::Binary)?;
    let port = rest.get(ADDRESS..ADDRESS + 2).ok_or(Malformed::Binary)?;
    Ok((*address, u16::from_be_bytes([port[0], port[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = (block.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, block].concat()
    }

    fn v2_of(from: SocketAddr, more: &[u8]) -> Vec<u8> {
        let ports = [&from.port().to_be_bytes()[..], &[0, 80]].concat();
        match from.ip() {
            IpAddr::V4(ip) => {
                v2(0x21, 0x11, &[&ip.octets()[..], &[198, 51, 100, 1], &ports, more].concat())
            }
            IpAddr::V6(ip) => v2(0x21, 0x21, &[&ip.octets()[..], &[1; 16], &ports, more].concat()),
        }
    }

    fn v1_of(from: SocketAddr) -> Vec<u8> {
        let (name, to) = if from.is_ipv4() { ("TCP4", "198.51.100.1") } else { ("TCP6", "::1") };
        format!("PROXY {name} {} {to} {} 443\r\n", from.ip(), from.port()).into_bytes()
    }

    /// Reads as a socket would be read: never more than was asked for.
    fn dribble(bytes: &[u8]) -> Result<(Option<SocketAddr>, usize), Malformed> {
        let mut taken = 0;
        loop {
            match read(&bytes[..taken])? {
                Step::Whole(from) => return Ok((from, taken)),
                Step::More(count) => {
                    assert!(count > 0);
                    taken += count;
                    if taken > bytes.len() {
                        return Err(Malformed::Absent);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXYTCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
            b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
            b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x21, 0x12, &[0; 12]),
            &v2(0x21, 0x31, &[0; 216]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x11, &[0; PROXY_HEADER_MAX]),
        ] {
            assert!(dribble(wrong).is_err(), "{:?}", String::from_utf8_lossy(wrong));
        }
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat();
        assert_eq!(dribble(&long), Err(Malformed::Line));
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        for (header, what) in [
            (v2(0x20, 0x00, &[]), "local"),
            (v2(0x20, 0x11, &[0; 12]), "local, with an address to be ignored"),
            (v2(0x21, 0x00, &[]), "unspecified"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "unknown"),
            (b"PROXY UNKNOWN ::1 ::1 1 2\r\n".to_vec(), "unknown, with more"),
        ] {
            assert_eq!(dribble(&header), Ok((None, header.len())), "{what}");
        }
    }

    fn addresses() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_behind_it(
            from in addresses(), more in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            for header in [v1_of(from), v2_of(from, &more)] {
                let followed = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
                prop_assert_eq!(dribble(&followed), Ok((Some(from), header.len())));
            }
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = dribble(&bytes);
            let _ = dribble(&[WORD, &bytes[..]].concat());
            let _ = dribble(&[SIGNATURE, &bytes[..]].concat());
        }
    }
}
