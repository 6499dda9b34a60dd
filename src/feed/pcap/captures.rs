//! Captures made by hand, for tests: pcap and pcapng around packets of MoldUDP64, IEX-TP and CME.

use super::packet::tests::ethernet_packet;

/// A packet: when (ns), on which line, its payload.
pub(crate) type Packet = (u64, u8, Vec<u8>);

/// A pcap file with times in ns.
pub(crate) fn capture(packets: &[Packet]) -> Vec<u8> {
    let mut file = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0];
    file.extend([0; 8]);
    file.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    for (time, line, payload) in packets {
        let packet = ethernet_packet(*line, 9000, payload);
        let (seconds, part) = ((time / 1_000_000_000) as u32, (time % 1_000_000_000) as u32);
        let length = packet.len() as u32;
        for word in [seconds, part, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// A pcapng file, big-endian, with a clock of ns and a block that nobody knows.
pub(crate) fn capture_ng(packets: &[Packet]) -> Vec<u8> {
    let mut file = block(0x0a0d_0d0a, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255]);
    let resolution = [0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0];
    file.extend(block(1, &[&[0, 1, 0, 0, 0, 0, 0, 0][..], &resolution].concat()));
    file.extend(block(0xbad, b"what is this"));
    for (time, line, payload) in packets {
        let packet = ethernet_packet(*line, 9000, payload);
        let length = packet.len() as u32;
        let (high, low) = ((time >> 32) as u32, *time as u32);
        let head = [0, high, low, length, length].map(u32::to_be_bytes).concat();
        file.extend(block(6, &[head, packet].concat()));
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = (padded as u32 + 12).to_be_bytes();
    let padding = vec![0; padded - body.len()];
    [&kind.to_be_bytes()[..], &length, body, &padding, &length].concat()
}

/// A packet of MoldUDP64.
pub(crate) fn mold(session: &[u8; 10], sequence: u64, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = session.to_vec();
    packet.extend(sequence.to_be_bytes());
    packet.extend((messages.len() as u16).to_be_bytes());
    for message in messages {
        packet.extend((message.len() as u16).to_be_bytes());
        packet.extend(message);
    }
    packet
}

/// A packet of IEX-TP.
pub(crate) fn iex_tp(protocol: u16, sequence: u64, messages: &[Vec<u8>]) -> Vec<u8> {
    let blocks: Vec<u8> =
        messages.iter().flat_map(|m| [&(m.len() as u16).to_le_bytes()[..], m].concat()).collect();
    let mut packet = vec![1, 0];
    packet.extend(protocol.to_le_bytes());
    packet.extend(1_u32.to_le_bytes());
    packet.extend(77_u32.to_le_bytes());
    packet.extend((blocks.len() as u16).to_le_bytes());
    packet.extend((messages.len() as u16).to_le_bytes());
    packet.extend(0_u64.to_le_bytes());
    packet.extend(sequence.to_le_bytes());
    packet.extend(0_u64.to_le_bytes());
    packet.extend(blocks);
    packet
}
