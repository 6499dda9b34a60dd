//! The ring as it is shipped, on loom's atomics and with small limits.

#[path = "../../../src/ring/mod.rs"]
pub mod ring;

/// The limits of `src/limits.rs` that the ring knows, shrunk: it wraps round after 4 or 8 slots.
pub mod limits {
    pub const SLOT_WORDS: usize = 2;
    pub const SLOT_BYTES: usize = SLOT_WORDS * 8;
    /// A header word and `ts_out`.
    pub const RECORD_MIN: usize = 16;
    pub const RECORD_MAX: usize = 48;
    pub const RECORD_SLOTS_MAX: usize = RECORD_MAX.div_ceil(SLOT_BYTES);
    pub const RING_MIN: usize = 4 * SLOT_BYTES;
    pub const RING_MAX: usize = 8 * SLOT_BYTES;
    pub const RING_BATCH_SHARE: usize = 2;
    pub const CLAIM_SLOTS: u64 = 2;
    pub const SHARDS_MAX: usize = 2;
}

/// A bare record for number `seq` that takes `slots` slots: every word of it tells both.
pub fn record(seq: u64, slots: usize) -> Vec<u8> {
    let bytes = slots * limits::SLOT_BYTES - 8;
    let mut record: Vec<u8> = [seq as u8, slots as u8].repeat(bytes / 2);
    record[0] = (bytes / 4) as u8;
    record
}

/// Panics where a published record is not number `seq` as [`record`] and [`ts_out`] made it.
pub fn check(published: &[u8], seq: u64, slots: usize) {
    let mut expected = record(seq, slots);
    expected[0] += 2;
    expected.extend(ts_out(seq).to_le_bytes());
    assert_eq!(published, expected, "torn or out of order: not record {seq}");
}

/// `ts_out` of record `seq`.
pub fn ts_out(seq: u64) -> u64 {
    1000 * seq
}
