//! The ring as it is shipped, on loom's atomics and with small limits.

#[path = "../../../src/ring/mod.rs"]
pub mod ring;

/// The limits of `src/limits.rs` that the ring knows, shrunk: it wraps round after 8 or 16 words,
/// and a block of 2 words has a start or none.
pub mod limits {
    /// A header word and `ts_out`.
    pub const RECORD_MIN: usize = 16;
    pub const RECORD_MAX: usize = 32;
    pub const RING_MIN: usize = 64;
    pub const RING_MAX: usize = 128;
    pub const RING_BATCH_SHARE: usize = 2;
    pub const CLAIM_BYTES: u64 = 16;
    pub const BLOCK_BYTES: u64 = 16;
    pub const SHARDS_MAX: usize = 2;
}

/// A bare record for number `seq` that is published as so many words: each of them tells both.
pub fn record(seq: u64, words: usize) -> Vec<u8> {
    let bytes = words * 8 - 8;
    let mut record: Vec<u8> = [seq as u8, words as u8].repeat(bytes / 2);
    record[0] = (bytes / 4) as u8;
    record
}

/// Panics where a published record is not number `seq` as [`record`] and [`ts_out`] made it.
pub fn check(published: &[u8], seq: u64, words: usize) {
    let mut expected = record(seq, words);
    expected[0] += 2;
    expected.extend(ts_out(seq).to_le_bytes());
    assert_eq!(published, expected, "torn or out of order: not record {seq}");
}

/// `ts_out` of record `seq`.
pub fn ts_out(seq: u64) -> u64 {
    1000 * seq
}
