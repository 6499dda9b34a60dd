//! The memory of the ring: slots of words, and the number of the record that starts at each.
//!
//! A word is the record's bytes as they lie, read natively: what a reader copies out is what the
//! writer was given. Every access is relaxed; what makes a copy good is argued in [`super`].

use std::sync::atomic::Ordering::Relaxed;

use super::RingError;
use super::sync::AtomicU64;
use crate::limits::{SLOT_BYTES, SLOT_WORDS};

/// One slot's words, copied out.
pub(super) type Words = [u64; SLOT_WORDS];

/// Slots that a published record of `bytes` takes.
#[inline]
pub(super) const fn slots_of(bytes: usize) -> usize {
    bytes.div_ceil(SLOT_BYTES)
}

/// Bytes of the published record that begins with `word`: its header counts units of 4.
#[inline]
pub(super) fn length(word: u64) -> usize {
    word.to_ne_bytes()[0] as usize * 4
}

#[repr(align(64))]
struct Slot([AtomicU64; SLOT_WORDS]);

/// A power-of-two number of slots. Positions count slots since the start and are masked here.
pub(super) struct Slots {
    slots: Box<[Slot]>,
    /// Number of the record that starts in the slot, 0 where one continues.
    starts: Box<[AtomicU64]>,
    mask: u64,
}

impl Slots {
    /// `count` slots, a power of two, touched so that no page is missing later.
    pub(super) fn new(count: usize) -> Result<Self, RingError> {
        let slots = filled(count, || Slot(std::array::from_fn(|_| AtomicU64::new(0))))?;
        let starts = filled(count, || AtomicU64::new(0))?;
        Ok(Self { slots, starts, mask: count as u64 - 1 })
    }

    /// Number of slots.
    #[inline]
    pub(super) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    #[inline]
    fn index(&self, position: u64) -> usize {
        (position & self.mask) as usize
    }

    /// Number of the record that starts at `position`, 0 where one continues.
    #[inline]
    pub(super) fn start(&self, position: u64) -> u64 {
        self.starts[self.index(position)].load(Relaxed)
    }

    /// Word `word` of the record at `position`.
    #[inline]
    pub(super) fn word(&self, position: u64, word: usize) -> u64 {
        let slot = self.index(position + (word / SLOT_WORDS) as u64);
        self.slots[slot].0[word % SLOT_WORDS].load(Relaxed)
    }

    /// Stores a bare record as number `seq` at `position`, with `ts_out` appended and counted in
    /// its header. The record's header and length have been checked.
    #[inline]
    pub(super) fn store(&self, position: u64, bare: &[u8], seq: u64, ts_out: u64) {
        let (words, _) = bare.as_chunks::<8>();
        for (slot, part) in (position..).zip(words.chunks(SLOT_WORDS)) {
            let slot = &self.slots[self.index(slot)].0;
            for (to, from) in slot.iter().zip(part) {
                to.store(u64::from_ne_bytes(*from), Relaxed);
            }
        }
        let mut header = words[0];
        header[0] += 2;
        self.store_word(position, 0, u64::from_ne_bytes(header));
        self.store_word(position, words.len(), ts_out.to_le());
        self.starts[self.index(position)].store(seq, Relaxed);
        for slot in 1..slots_of(bare.len() + 8) as u64 {
            self.starts[self.index(position + slot)].store(0, Relaxed);
        }
    }

    #[inline]
    fn store_word(&self, position: u64, word: usize, value: u64) {
        let slot = self.index(position + (word / SLOT_WORDS) as u64);
        self.slots[slot].0[word % SLOT_WORDS].store(value, Relaxed);
    }

    /// Copies the slots from `position` on, as many as `out` has, and shows each with its first
    /// word.
    #[inline]
    pub(super) fn copy(&self, position: u64, out: &mut [Words], mut seen: impl FnMut(usize, u64)) {
        let start = self.index(position);
        let until_wrap = (self.slots.len() - start).min(out.len());
        let (head, tail) = out.split_at_mut(until_wrap);
        copy_run(&self.slots[start..start + until_wrap], head, &mut seen);
        copy_run(&self.slots[..tail.len()], tail, |at, word| seen(until_wrap + at, word));
    }
}

#[inline]
fn copy_run(slots: &[Slot], out: &mut [Words], mut seen: impl FnMut(usize, u64)) {
    for (at, (to, from)) in out.iter_mut().zip(slots).enumerate() {
        *to = std::array::from_fn(|word| from.0[word].load(Relaxed));
        seen(at, to[0]);
    }
}

fn filled<T>(count: usize, new: impl Fn() -> T) -> Result<Box<[T]>, RingError> {
    let mut memory = Vec::new();
    let asked = count * size_of::<T>();
    memory.try_reserve_exact(count).map_err(|_| RingError::Memory { asked })?;
    memory.extend(std::iter::repeat_with(new).take(count));
    Ok(memory.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_with_ts_out_across_the_end_of_the_array() {
        let slots = Slots::new(4).unwrap();
        let mut bare: Vec<u8> = (0..120).collect();
        bare[0] = 30;
        slots.store(3, &bare, 7, 0x0102_0304);
        let mut out = [[0; SLOT_WORDS]; 2];
        let mut seen = Vec::new();
        slots.copy(3, &mut out, |at, word| seen.push((at, word)));
        assert_eq!(seen, [(0, out[0][0]), (1, out[1][0])]);
        let bytes: Vec<u8> = out.as_flattened().iter().flat_map(|w| w.to_ne_bytes()).collect();
        assert_eq!(length(out[0][0]), 128);
        assert_eq!(bytes[1..120], bare[1..]);
        assert_eq!(bytes[120..], 0x0102_0304_u64.to_le_bytes());
        assert_eq!((slots.start(3), slots.start(4), slots.word(3, 15)), (7, 0, 0x0102_0304));
    }

    #[test]
    fn slots_round_up() {
        assert_eq!([48, 56, 64, 72, 528].map(slots_of), [1, 1, 1, 2, 9]);
    }
}
