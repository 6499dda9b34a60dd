//! The memory of the ring: words, found by bytes since the start.
//!
//! A word is the record's bytes as they lie, read natively: what a reader copies out is what the
//! writer was given. Every access is relaxed; what makes a copy good is argued in [`super`].

use std::sync::atomic::Ordering::Relaxed;

use super::RingError;
use super::sync::AtomicU64;

/// Bytes of the published record that begins with `word`: its header counts units of 4.
#[inline]
pub(super) fn length(word: u64) -> usize {
    word.to_ne_bytes()[0] as usize * 4
}

/// A power-of-two number of words. Positions count bytes since the start, are multiples of 8, and
/// are masked here.
pub(super) struct Words {
    words: Box<[AtomicU64]>,
    mask: usize,
}

impl Words {
    /// `bytes` of them, a power of two, touched so that no page is missing later. In the last one,
    /// as if a record ended there, is the `ts_out` of what came before.
    pub(super) fn new(bytes: usize, ts_out: u64) -> Result<Self, RingError> {
        let words = filled(bytes / 8, || AtomicU64::new(0))?;
        words[words.len() - 1].store(ts_out.to_le(), Relaxed);
        Ok(Self { mask: words.len() - 1, words })
    }

    /// Bytes that it has.
    #[inline]
    pub(super) fn capacity(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    #[inline]
    fn index(&self, position: u64) -> usize {
        (position / 8) as usize & self.mask
    }

    /// The word at `position`.
    #[inline]
    pub(super) fn word(&self, position: u64) -> u64 {
        self.words[self.index(position)].load(Relaxed)
    }

    /// Stores a bare record at `position`, with `ts_out` appended and counted in its header. The
    /// record's header and length have been checked.
    #[inline(always)]
    pub(super) fn store(&self, position: u64, bare: &[u8], ts_out: u64) {
        let (bare, _) = bare.as_chunks::<8>();
        let at = self.index(position);
        // Of most records the compiler knows the length here, and needs no loop.
        match (self.words.get(at..=at + bare.len()), bare.len()) {
            (Some(to), 5) => fill(&to[..=5], &bare[..5], ts_out),
            (Some(to), 6) => fill(&to[..=6], &bare[..6], ts_out),
            (Some(to), 7) => fill(&to[..=7], &bare[..7], ts_out),
            (Some(to), 10) => fill(&to[..=10], &bare[..10], ts_out),
            (Some(to), _) => fill_any(to, bare, ts_out),
            (None, _) => self.store_across(at, bare, ts_out),
        }
    }

    /// The same for a record that goes on at the beginning of the array.
    #[cold]
    fn store_across(&self, at: usize, bare: &[[u8; 8]], ts_out: u64) {
        let to = self.words[at..].iter().chain(&self.words);
        let body = bare[1..].iter().map(|word| u64::from_ne_bytes(*word));
        let words = std::iter::once(counted(bare[0])).chain(body).chain([ts_out.to_le()]);
        words.zip(to).for_each(|(word, to)| to.store(word, Relaxed));
    }

    /// Copies the words from `position` on, as many as `out` has.
    #[inline]
    pub(super) fn copy(&self, position: u64, out: &mut [u64]) {
        let at = self.index(position);
        let until_end = (self.words.len() - at).min(out.len());
        let (head, tail) = out.split_at_mut(until_end);
        copy_run(&self.words[at..], head);
        copy_run(&self.words, tail);
    }
}

/// A bare record's header as it is published: `ts_out` is counted.
#[inline]
fn counted(header: [u8; 8]) -> u64 {
    (u64::from_le_bytes(header) + 2).to_le()
}

/// Stores a record in as many words as it has with `ts_out`.
#[inline]
fn fill(to: &[AtomicU64], bare: &[[u8; 8]], ts_out: u64) {
    let last = bare.len();
    to[0].store(counted(bare[0]), Relaxed);
    for (to, from) in to[1..last].iter().zip(&bare[1..]) {
        to.store(u64::from_ne_bytes(*from), Relaxed);
    }
    to[last].store(ts_out.to_le(), Relaxed);
}

/// The same out of the way of those whose lengths are known.
#[inline(never)]
fn fill_any(to: &[AtomicU64], bare: &[[u8; 8]], ts_out: u64) {
    fill(to, bare, ts_out);
}

#[inline]
fn copy_run(from: &[AtomicU64], to: &mut [u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.load(Relaxed);
    }
}

/// So many of what `new` makes, in memory that may be short.
pub(super) fn filled<T>(count: usize, new: impl Fn() -> T) -> Result<Box<[T]>, RingError> {
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
    fn a_record_comes_back_with_ts_out_wherever_the_array_ends() {
        let words = Words::new(256, 0).unwrap();
        let mut bare: Vec<u8> = (0..120).collect();
        bare[0] = 30;
        for position in (0..512).step_by(8) {
            words.store(position, &bare, 0x0102_0304);
            let mut out = [0; 16];
            words.copy(position, &mut out);
            let bytes: Vec<u8> = out.iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!((length(words.word(position)), bytes[0]), (128, 32));
            assert_eq!(bytes[1..120], bare[1..]);
            assert_eq!(bytes[120..], 0x0102_0304_u64.to_le_bytes());
            assert_eq!(words.word(position + 120), 0x0102_0304);
        }
    }
}
