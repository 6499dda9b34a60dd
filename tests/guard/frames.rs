//! Sequences of client frames, valid and not, and what must come of each.

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// The bytes of a client, and the verdict: the events, then the violation's close code.
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    pub(crate) verdict: Vec<String>,
    /// What is wrong with it, or none.
    pub(crate) fault: &'static str,
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
const FIN: u8 = 0x80;

/// What can be wrong with a frame or its place.
pub(crate) const FAULTS: [(&str, u16); 15] = [
    ("reserved bits", 1002),
    ("reserved opcode", 1002),
    ("not masked", 1002),
    ("long control frame", 1002),
    ("fragmented control frame", 1002),
    ("length of 16 bits where 7 do", 1002),
    ("length of 64 bits where 16 do", 1002),
    ("length above 63 bits", 1002),
    ("continuation of nothing", 1002),
    ("interleaved message", 1002),
    ("bad UTF-8", 1007),
    ("bad UTF-8 in fragments", 1007),
    ("close frame of one byte", 1002),
    ("close code that none may carry", 1002),
    ("bad UTF-8 in a close frame", 1007),
];

/// As events are compared between decoders: a letter and the payload.
pub(crate) fn event(letter: &str, payload: &[u8]) -> String {
    format!("{letter}:{}", hex(payload))
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(digits).collect()
}

/// A masked frame.
pub(crate) fn frame(rng: &mut impl Rng, first: u8, payload: &[u8]) -> Vec<u8> {
    let form = match payload.len() {
        0..126 => 7,
        126..65_536 => 16,
        _ => 64,
    };
    frame_of(rng, first, payload, form)
}

fn frame_of(rng: &mut impl Rng, first: u8, payload: &[u8], form: u32) -> Vec<u8> {
    let mask: [u8; 4] = rng.random();
    let mut bytes = vec![first];
    match form {
        7 => bytes.push(0x80 | payload.len() as u8),
        16 => {
            bytes.push(0xfe);
            bytes.extend((payload.len() as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

struct Writer {
    rng: Pcg64,
    bytes: Vec<u8>,
    verdict: Vec<String>,
}

/// The script of a seed: some valid traffic, then a fault in two of three, then more traffic that
/// a decoder must not look at.
pub(crate) fn script(seed: u64) -> Script {
    let rng = Pcg64::seed_from_u64(seed);
    let mut writer = Writer { rng, bytes: Vec::new(), verdict: Vec::new() };
    for _ in 0..writer.rng.random_range(0..5) {
        writer.traffic();
    }
    let fault = if seed.is_multiple_of(3) { "" } else { writer.fault() };
    if fault.is_empty() && writer.rng.random() {
        writer.close();
    } else if !fault.is_empty() {
        let seen = writer.verdict.len();
        writer.traffic();
        writer.verdict.truncate(seen);
    }
    Script { bytes: writer.bytes, verdict: writer.verdict, fault }
}

impl Writer {
    fn frame(&mut self, first: u8, payload: &[u8]) {
        let frame = frame(&mut self.rng, first, payload);
        self.bytes.extend(frame);
    }

    fn text(&mut self) -> String {
        const LENGTHS: [usize; 7] = [0, 1, 3, 40, 60, 125, 300];
        let len = LENGTHS[self.rng.random_range(0..LENGTHS.len())];
        const CHARS: [char; 9] =
            ['a', '\0', '\u{7f}', 'é', '߿', '€', '\u{ffff}', '𝄞', '\u{10ffff}'];
        (0..len).map(|_| CHARS[self.rng.random_range(0..CHARS.len())]).collect()
    }

    fn message(&mut self) -> (u8, Vec<u8>) {
        let text = self.text().into_bytes();
        match self.rng.random_range(0..100) {
            0 => (BINARY, vec![0xff; 70_000]),
            1..30 => (BINARY, text.into_iter().rev().collect()),
            _ => (TEXT, text),
        }
    }

    fn traffic(&mut self) {
        match self.rng.random_range(0..6) {
            0 | 1 => {
                let (kind, payload) = self.message();
                self.frame(FIN | kind, &payload);
                self.verdict.push(event(if kind == TEXT { "text" } else { "binary" }, &payload));
            }
            2 => self.control(9),
            3 => self.control(10),
            _ => self.fragments(),
        }
    }

    fn control(&mut self, opcode: u8) {
        let payload = vec![self.rng.random(); self.rng.random_range(0..=125)];
        self.frame(FIN | opcode, &payload);
        self.verdict.push(event(if opcode == 9 { "ping" } else { "pong" }, &payload));
    }

    /// A message in pieces, cut anywhere, characters included, control frames in between.
    fn fragments(&mut self) {
        let (kind, payload) = self.message();
        let mut cuts: Vec<_> = (0..3).map(|_| self.rng.random_range(0..=payload.len())).collect();
        cuts.sort_unstable();
        cuts.push(payload.len());
        let (mut start, last) = (0, cuts.len() - 1);
        for (n, cut) in cuts.into_iter().enumerate() {
            let opcode = if n == 0 { kind } else { 0 };
            let fin = if n == last { FIN } else { 0 };
            self.frame(fin | opcode, &payload[start..cut]);
            start = cut;
            if n < last && self.rng.random() {
                let opcode = self.rng.random_range(9..=10);
                self.control(opcode);
            }
        }
        self.verdict.push(event(if kind == TEXT { "text" } else { "binary" }, &payload));
    }

    fn close(&mut self) {
        const CODES: [u16; 12] =
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4000, 4999];
        if self.rng.random_range(0..4) == 0 {
            self.frame(FIN | 8, b"");
            return self.verdict.push(event("close", b""));
        }
        let code = CODES[self.rng.random_range(0..CODES.len())];
        let payload = [&code.to_be_bytes(), "au revoir €".as_bytes()].concat();
        self.frame(FIN | 8, &payload);
        self.verdict.push(event("close", &payload));
    }

    fn fault(&mut self) -> &'static str {
        let (name, code) = FAULTS[self.rng.random_range(0..FAULTS.len())];
        self.faulty(name);
        self.verdict.push(format!("violation:{code}"));
        name
    }

    fn faulty(&mut self, name: &str) {
        const BAD: [&[u8]; 7] = [
            b"\xff",
            b"ok\xc0\xaf",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
            b"\xce\xba\x80",
            b"a\xf0\x8f\xbf\xbf",
        ];
        const CODES: [u16; 9] = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000];
        let bad = BAD[self.rng.random_range(0..BAD.len())];
        match name {
            "reserved bits" => {
                let bits = self.rng.random_range(1..8) << 4;
                self.frame(FIN | bits | TEXT, b"x");
            }
            "reserved opcode" => {
                let opcode = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15][self.rng.random_range(0..10)];
                self.frame(FIN | opcode, b"x");
            }
            "not masked" => self.bytes.extend([FIN | TEXT, 2, b'h', b'i']),
            "long control frame" => self.frame(FIN | 9, &[0; 126]),
            "fragmented control frame" => self.frame(9, b"x"),
            "length of 16 bits where 7 do" => self.odd_length(&[b'x'; 125], 16),
            "length of 64 bits where 16 do" => self.odd_length(&[b'x'; 126], 64),
            "length above 63 bits" => {
                self.bytes.extend([FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
            }
            "continuation of nothing" => self.frame(FIN, b"x"),
            "interleaved message" => {
                self.frame(TEXT, b"x");
                self.frame(FIN | TEXT, b"x");
            }
            "bad UTF-8" => self.frame(FIN | TEXT, bad),
            "bad UTF-8 in fragments" => {
                let cut = self.rng.random_range(0..=bad.len());
                self.frame(TEXT, &bad[..cut]);
                self.frame(0, b"");
                self.frame(FIN, &bad[cut..]);
            }
            "close frame of one byte" => self.frame(FIN | 8, b"\x03"),
            "close code that none may carry" => {
                let code = CODES[self.rng.random_range(0..CODES.len())];
                self.frame(FIN | 8, &code.to_be_bytes());
            }
            _ => self.frame(FIN | 8, &[b"\x03\xe8", bad].concat()),
        }
    }

    fn odd_length(&mut self, payload: &[u8], form: u32) {
        let frame = frame_of(&mut self.rng, FIN | TEXT, payload, form);
        self.bytes.extend(frame);
    }
}
