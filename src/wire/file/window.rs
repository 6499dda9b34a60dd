//! A window that moves over a stream of bytes: whole records in it are read in place.

use std::io::{self, Read};

/// Bytes that are read ahead.
const AHEAD: usize = 64 << 10;

/// Invariant: `start <= end <= bytes.len()`; `bytes[start..end]` is what was read and not consumed.
pub(super) struct Window {
    source: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    consumed: u64,
}

impl Window {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source, bytes: vec![0; AHEAD], start: 0, end: 0, consumed: 0 }
    }

    /// Sees to it that `need` bytes are in it, which grows where they are more than [`AHEAD`] (the
    /// caller has bounded them); false where the stream ends before.
    ///
    /// # Errors
    /// What the stream fails with; the bytes before are in it.
    #[inline]
    pub(super) fn fill(&mut self, need: usize) -> io::Result<bool> {
        if self.end - self.start >= need {
            return Ok(true);
        }
        self.refill(need)
    }

    fn refill(&mut self, need: usize) -> io::Result<bool> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if need > self.bytes.len() {
            self.bytes.resize(need.next_power_of_two(), 0);
        }
        while self.end < need {
            match self.source.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Moves `length` bytes, which are as many as the stream has where it ends before, out of it.
    ///
    /// # Errors
    /// What the stream fails with.
    pub(super) fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let here = length.min(self.end - self.start);
        let mut taken = self.data()[..here].to_vec();
        self.consume(here);
        let rest = (length - here) as u64;
        self.consumed += self.source.by_ref().take(rest).read_to_end(&mut taken)? as u64;
        Ok(taken)
    }

    /// What is in it.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// What is in it, to be changed in place.
    #[inline]
    pub(super) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Moves on by `length` bytes, which are in it.
    #[inline]
    pub(super) fn consume(&mut self, length: usize) {
        self.start += length;
        self.consumed += length as u64;
    }

    /// Bytes of the stream before it.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }
}
