//! Segments of a tape, as they are and with their checksums made right, so that what lies behind
//! these is reached as well.
#![no_main]

use broadtape::feed::source::{Format, How};
use broadtape::tape::{Tape, verify};
use broadtape_fuzz::{folder, read};
use libfuzzer_sys::fuzz_target;

const SEGMENT_HEAD: usize = 64;
const FRAME_HEAD: usize = 88;
const TRAILER: usize = 24;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let mut bytes = data.to_vec();
    if choice & 1 == 0 {
        mend(&mut bytes);
    }
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let turn = 1 + (choice >> 2);
    let path = match choice & 2 {
        0 => folder(&[(&name(&bytes, 0), &bytes)]),
        _ => folder(&[(&name(one, 0), one), (&name(two, turn), two)]),
    };
    read(Format::Tape, vec![path.clone()], How::default());
    let _ = verify(&path, |_, _| ());
    if let Ok(tape) = Tape::salvage(&path)
        && let Ok(mut cursor) = tape.cursor_after(tape.first_seq().saturating_sub(1))
    {
        while let Ok(Some(block)) = cursor.next_block() {
            assert!(block.first_seq() <= block.last_seq());
            assert!(block.records().all(|record| !record.is_empty()));
        }
    }
});

/// The name that a segment's head says, as another is refused.
fn name(segment: &[u8], turn: u8) -> String {
    let first_seq = segment.get(24..32).and_then(|bytes| bytes.try_into().ok());
    let first_seq = first_seq.map_or(1, u64::from_le_bytes);
    match turn {
        0 => format!("{first_seq:020}.tape"),
        _ => format!("{first_seq:020}-{turn}.tape"),
    }
}

/// Makes the checksums of a segment right, as `docs/formats.md` has them.
fn mend(bytes: &mut [u8]) {
    seal(bytes, 0, SEGMENT_HEAD);
    let mut at = SEGMENT_HEAD;
    while let Some(head) = bytes.get(at..at + FRAME_HEAD) {
        if head[..4] != *b"\xF1blk" {
            break;
        }
        let stored = u32::from_le_bytes([head[36], head[37], head[38], head[39]]) as usize;
        let payload = at + FRAME_HEAD;
        if let Some(payload) = bytes.get(payload..payload.saturating_add(stored)) {
            let crc = crc32c::crc32c(payload).to_le_bytes();
            bytes[at + 44..at + 48].copy_from_slice(&crc);
        }
        seal(bytes, at, FRAME_HEAD);
        at = payload.saturating_add(stored);
    }
    if bytes.len() >= SEGMENT_HEAD + TRAILER {
        seal(bytes, bytes.len() - TRAILER, TRAILER);
    }
}

/// The last four bytes of a head are the checksum of those before.
fn seal(bytes: &mut [u8], at: usize, length: usize) {
    let Some(head) = bytes.get_mut(at..at + length) else { return };
    let (body, crc) = head.split_at_mut(length - 4);
    crc.copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
}
