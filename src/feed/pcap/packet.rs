//! The UDP payload of a captured packet: link layer, IPv4 or IPv6, UDP, taken apart without trust.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a packet was sent to: what tells the lines of a feed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// The address, mostly a multicast group.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::net::SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// What is in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A whole UDP datagram.
    Udp(Flow, &'a [u8]),
    /// A part of one: IP fragments are not put together.
    Fragment,
    /// A datagram whose end is missing: the capture kept only the beginning of each packet.
    Cut,
    /// Something else.
    Other,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Tags in front of the type: 802.1Q, 802.1ad.
const TAGS: [u16; 2] = [0x8100, 0x88a8];
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// Takes a packet of this link type apart.
pub(super) fn payload(link: u32, packet: &[u8]) -> Payload<'_> {
    network(link, packet).unwrap_or(Payload::Other)
}

/// The network packet behind the header of the link (numbers of the tcpdump registry).
fn network(link: u32, packet: &[u8]) -> Option<Payload<'_>> {
    let (kind, at) = match link {
        // Ethernet
        1 => ethernet(packet)?,
        // Null and loop: the family of the address, in either byte order
        0 | 108 => (by_version(packet.get(4)?)?, 4),
        // Raw IP
        12 | 14 | 101 | 228 | 229 => (by_version(packet.first()?)?, 0),
        // Linux cooked, versions 1 and 2
        113 => (u16_at(packet, 14)?, 16),
        276 => (u16_at(packet, 0)?, 20),
        _ => return None,
    };
    let packet = packet.get(at..)?;
    match kind {
        IPV4 => ipv4(packet),
        IPV6 => ipv6(packet),
        _ => None,
    }
}

fn ethernet(packet: &[u8]) -> Option<(u16, usize)> {
    let mut at = 12;
    let mut kind = u16_at(packet, at)?;
    while TAGS.contains(&kind) {
        at += 4;
        kind = u16_at(packet, at)?;
    }
    Some((kind, at + 2))
}

fn by_version(first: &u8) -> Option<u16> {
    match first >> 4 {
        4 => Some(IPV4),
        6 => Some(IPV6),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Payload<'_>> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    if header < 20 || *packet.get(9)? != UDP {
        return None;
    }
    // More fragments, or not the first one.
    if u16_at(packet, 6)? & 0x3fff != 0 {
        return Some(Payload::Fragment);
    }
    udp(Ipv4Addr::from(address).into(), packet.get(header..)?)
}

fn ipv6(packet: &[u8]) -> Option<Payload<'_>> {
    const HEADER: usize = 40;
    const FRAGMENT: u8 = 44;
    let address: [u8; 16] = packet.get(24..HEADER)?.try_into().ok()?;
    match *packet.get(6)? {
        UDP => udp(Ipv6Addr::from(address).into(), packet.get(HEADER..)?),
        FRAGMENT => Some(Payload::Fragment),
        _ => None,
    }
}

fn udp(address: IpAddr, datagram: &[u8]) -> Option<Payload<'_>> {
    let (port, length) = (u16_at(datagram, 2)?, usize::from(u16_at(datagram, 4)?));
    if length < UDP_HEADER {
        return None;
    }
    // What comes after it is padding of the link.
    let Some(whole) = datagram.get(UDP_HEADER..length) else { return Some(Payload::Cut) };
    Some(Payload::Udp(Flow { address, port }, whole))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An Ethernet packet with a datagram to 233.1.1.`line`:`port`, as tests of captures need them.
    pub(crate) fn ethernet_packet(line: u8, port: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 12];
        packet.extend(IPV4.to_be_bytes());
        let total = (20 + UDP_HEADER + payload.len()) as u16;
        packet.extend([0x45, 0]);
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0, 0, 1, UDP, 0, 0, 10, 0, 0, 1, 233, 1, 1, line]);
        packet.extend(7u16.to_be_bytes());
        packet.extend(port.to_be_bytes());
        packet.extend(((UDP_HEADER + payload.len()) as u16).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        packet
    }

    fn sent(line: u8, port: u16) -> Flow {
        Flow { address: Ipv4Addr::new(233, 1, 1, line).into(), port }
    }

    #[test]
    fn a_datagram_is_found_behind_any_link() {
        let plain = ethernet_packet(3, 9000, b"abc");
        let ip = &plain[14..];
        let mut tagged = plain.clone();
        tagged.splice(12..12, [0x88, 0xa8, 0, 1, 0x81, 0, 0, 2]);
        let padded = [&plain[..], &[0; 9]].concat();
        let cooked = [&[0; 14][..], &[8, 0], ip].concat();
        let null = [&[2, 0, 0, 0], ip].concat();
        let found = Payload::Udp(sent(3, 9000), b"abc");
        for (link, packet) in
            [(1, &plain[..]), (1, &tagged), (1, &padded), (113, &cooked), (0, &null), (101, ip)]
        {
            assert_eq!(payload(link, packet), found, "link {link}");
        }
        assert_eq!(payload(147, &plain), Payload::Other);
    }

    #[test]
    fn parts_are_told_apart() {
        let mut packet = ethernet_packet(3, 9000, b"abc");
        assert_eq!(payload(1, &packet[..packet.len() - 1]), Payload::Cut);
        packet[14 + 6] = 0x20;
        assert_eq!(payload(1, &packet), Payload::Fragment);
        packet[14 + 9] = 6;
        assert_eq!(payload(1, &packet), Payload::Other);
    }

    proptest! {
        #[test]
        fn any_packet_is_taken_apart(
            link in prop_oneof![Just(0u32), Just(1), Just(101), Just(113), Just(276), any::<u32>()],
            bytes in proptest::collection::vec(0u8.., 0..80),
            flips in proptest::collection::vec((0usize..60, 0u8..), 0..4),
        ) {
            payload(link, &bytes);
            let mut packet = ethernet_packet(1, 2, &bytes);
            for (at, byte) in flips {
                let at = at % packet.len();
                packet[at] ^= byte;
            }
            payload(1, &packet);
        }
    }
}
