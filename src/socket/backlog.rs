//! What the kernel did not take from one connection's bytes, in order, and how much of it there is.
//!
//! The backlog holds *data* (shared by every subscriber that is behind on it, by reference) and
//! *notes* (text and control frames of this connection alone). *Own* data is that of a replay: it
//! has no cursor in the stream and is never dropped. A *count* is a note that says how much data
//! stands before it, and is dropped with that data; *sealed* data is not dropped. All are runs of
//! whole WebSocket frames; only the first run may have a frame begun.
//!
//! Invariants: (1) `bytes` is the sum of what the runs hold; (2) `begun` bytes at the front finish
//! a frame whose first part was sent, everything after them is whole frames; (3) a run is never
//! empty.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::run::{Run, missing};
use super::shared::Shared;
use super::write::Parts;
use crate::limits::PARTS_PER_WRITE;

/// Unsent bytes of one connection.
#[derive(Debug, Default)]
pub struct Backlog {
    runs: VecDeque<Run>,
    bytes: usize,
    notes: usize,
    begun: usize,
    /// The cursor of the last data frame that was begun, when data waits or was dropped.
    begun_at: u64,
}

impl Backlog {
    /// Unsent bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Unsent bytes of notes.
    pub fn note_bytes(&self) -> usize {
        self.notes
    }

    /// Is there nothing unsent?
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The cursor of the last data frame that was sent, or begun, of a connection that is at
    /// `position` where no data waits.
    pub fn cursor(&self, position: u64) -> u64 {
        if self.has_data() { self.begun_at } else { position }
    }

    /// The same of a connection whose data was dropped since.
    pub fn cursor_before_loss(&self) -> u64 {
        self.begun_at
    }

    fn has_data(&self) -> bool {
        self.runs.iter().any(|run| matches!(run, Run::Data { .. }))
    }

    /// Appends text or control frames.
    pub fn push_note(&mut self, frames: Bytes) {
        self.push(Run::Note(frames));
    }

    /// Appends data frames of this connection alone, which are neither counted nor dropped with the
    /// shared ones.
    pub fn push_own(&mut self, frames: Bytes) {
        self.push(Run::Own(frames));
    }

    /// Appends frames that count the data before them.
    pub fn push_count(&mut self, frames: Bytes) {
        self.push(Run::Count(frames));
    }

    /// Gives its memory back where it is empty: most connections are quiet.
    pub fn rest(&mut self) {
        if self.runs.is_empty() && self.runs.capacity() > 0 {
            self.runs = VecDeque::new();
        }
    }

    /// Has the data that waits now sent whatever happens: an answer behind it counts it.
    pub fn seal(&mut self) {
        for run in &mut self.runs {
            if let Run::Data { sealed, .. } = run {
                *sealed = true;
            }
        }
    }

    /// Appends the frames of `shared` from byte `from` on. That may lie inside of a frame only
    /// where the backlog is empty: the kernel took what came before it.
    ///
    /// What was mostly taken is copied, so that a small rest does not hold a large buffer alive.
    pub fn push_shared(&mut self, shared: &Rc<Shared>, from: usize) {
        if self.runs.is_empty() {
            self.begun = missing(&shared.bytes, from);
        }
        if !self.has_data() {
            self.begun_at = shared.position(from + self.begun).max(self.begun_at);
        }
        let unsent = shared.bytes.len() - from;
        self.push(if unsent * 2 >= shared.bytes.len() {
            let range = from..shared.bytes.len();
            Run::Data { shared: shared.clone(), range, sealed: false }
        } else {
            Run::Data { shared: Rc::new(shared.rest(from)), range: 0..unsent, sealed: false }
        });
    }

    fn push(&mut self, run: Run) {
        if run.len() > 0 {
            self.bytes += run.len();
            self.notes += run.note_len();
            self.runs.push_back(run);
        }
    }

    /// Puts frames before everything that has not been begun, but behind those that were put there
    /// before them.
    pub fn push_urgent(&mut self, frames: &[u8]) {
        self.bytes += frames.len();
        self.notes += frames.len();
        let begun = self.split_begun();
        match self.runs.front_mut() {
            Some(Run::Urgent(urgent)) => urgent.extend_from_slice(frames),
            _ => self.runs.push_front(Run::Urgent(frames.into())),
        }
        begun.into_iter().for_each(|run| self.runs.push_front(run));
    }

    /// Takes the rest of the frame in progress off the front.
    fn split_begun(&mut self) -> Option<Run> {
        let front = self.runs.front_mut().filter(|_| self.begun > 0)?;
        let begun = front.split_to(self.begun);
        if front.len() == 0 {
            self.runs.pop_front();
        }
        Some(begun)
    }

    /// The first runs, for one gathered write.
    pub fn parts(&self) -> Parts<'_> {
        self.runs.iter().take(PARTS_PER_WRITE).map(Run::bytes).collect()
    }

    /// Notes that the kernel took the first `taken` bytes.
    ///
    /// # Panics
    /// Where that is more than there was.
    pub fn advance(&mut self, mut taken: usize) {
        assert!(taken <= self.bytes, "the kernel takes no more than it was given");
        self.bytes -= taken;
        while let Some(front) = self.runs.front_mut().filter(|_| taken > 0) {
            let part = taken.min(front.len());
            self.begun = match part.checked_sub(self.begun) {
                None => self.begun - part,
                Some(beyond) => missing(&front.bytes()[self.begun..], beyond),
            };
            let sent = front.split_to(part);
            self.notes -= sent.note_len();
            self.begun_at = front.position(self.begun).unwrap_or(0).max(self.begun_at);
            if front.len() == 0 {
                self.runs.pop_front();
            }
            taken -= part;
        }
    }

    /// The keys of the records in data frames that have not been begun, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().enumerate().flat_map(|(place, run)| {
            let begun = if place == 0 { self.begun } else { 0 };
            run.keys(begun).iter().copied()
        })
    }

    /// Drops the data frames that have not been begun and the counts of them, keeps the notes in
    /// their order, and calls `lost` with the key of each record that was dropped, oldest first.
    pub fn drop_data(&mut self, mut lost: impl FnMut(u32)) {
        let begun = self.split_begun();
        self.runs.retain(|run| {
            run.keys(0).iter().for_each(|key| lost(*key));
            let stays = matches!(run, Run::Note(_) | Run::Own(_) | Run::Urgent(_));
            stays || matches!(run, Run::Data { sealed: true, .. })
        });
        begun.into_iter().for_each(|run| self.runs.push_front(run));
        self.bytes = self.runs.iter().map(Run::len).sum();
        self.notes = self.runs.iter().map(Run::note_len).sum();
    }

    /// Drops everything but the frame that has been begun.
    pub fn drop_unbegun(&mut self) {
        let begun = self.split_begun();
        self.runs.clear();
        self.bytes = self.begun;
        self.notes = begun.as_ref().map_or(0, Run::note_len);
        self.runs.extend(begun);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::socket::run::frame_length;
    use crate::socket::shared::Mark;

    /// A frame whose payload repeats `fill`.
    fn frame(fill: u8, payload: usize) -> Vec<u8> {
        let mut frame = match payload {
            0..=125 => vec![0x82, payload as u8],
            _ => vec![0x82, 126, (payload >> 8) as u8, payload as u8],
        };
        frame.resize(frame.len() + payload, fill);
        frame
    }

    /// Frames of one record each, keyed by their fill.
    fn shared(fills: &[u8], payload: usize) -> Rc<Shared> {
        let (mut bytes, mut marks) = (Vec::new(), Vec::new());
        for (n, fill) in fills.iter().enumerate() {
            bytes.extend(frame(*fill, payload));
            marks.push(Mark { end: bytes.len() as u32, records: n as u32 + 1, seq: n as u64 + 1 });
        }
        let keys = fills.iter().map(|fill| u32::from(*fill)).collect();
        Rc::new(Shared { bytes: bytes.into(), marks, keys, after: 0 })
    }

    fn drain(backlog: &mut Backlog, step: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        while !backlog.is_empty() {
            let parts = backlog.parts().concat();
            let taken = step.min(parts.len());
            sent.extend(&parts[..taken]);
            backlog.advance(taken);
        }
        assert_eq!((backlog.bytes(), backlog.note_bytes(), backlog.begun), (0, 0, 0));
        sent
    }

    #[test]
    fn urgent_frames_go_between_frames() {
        for sent in 0..=2 * 22 {
            let mut backlog = Backlog::default();
            backlog.push_shared(&shared(b"abc", 20), 0);
            backlog.advance(sent);
            backlog.push_urgent(&frame(b'!', 3));
            backlog.push_urgent(&frame(b'?', 3));
            let mut all = frame(b'a', 20);
            let place = sent.div_ceil(22);
            let order = [&b"abc"[..place], b"!?", &b"abc"[place..]].concat();
            all.clear();
            for fill in order {
                all.extend(frame(fill, if fill.is_ascii_punctuation() { 3 } else { 20 }));
            }
            assert_eq!(drain(&mut backlog, 7), all[sent..], "after {sent} bytes");
        }
    }

    #[test]
    fn its_cursor_is_that_of_the_frame_that_was_begun() {
        for direct in 0..3 * 22 {
            for sent in 0..3 * 22 - direct {
                let mut backlog = Backlog::default();
                backlog.push_shared(&shared(b"abc", 20), direct);
                backlog.advance(sent);
                assert_eq!(
                    backlog.cursor(9),
                    (direct + sent).div_ceil(22) as u64,
                    "{direct} {sent}"
                );
            }
        }
        let mut backlog = Backlog::default();
        backlog.push_shared(&shared(b"abc", 20), 0);
        backlog.advance(23);
        backlog.drop_data(|_| ());
        assert_eq!((backlog.cursor(9), backlog.cursor_before_loss()), (2, 2));
        backlog.advance(21);
        assert_eq!((backlog.cursor(9), backlog.cursor_before_loss()), (9, 2));
    }

    #[test]
    fn a_small_rest_holds_no_large_buffer() {
        let large = shared(b"abcdefgh", 200);
        let mut backlog = Backlog::default();
        backlog.push_shared(&large, large.bytes.len() - 250);
        assert_eq!(Rc::strong_count(&large), 1);
        let mut lost = Vec::new();
        backlog.drop_data(|key| lost.push(key as u8));
        assert_eq!(lost, b"h", "g was begun");
        assert_eq!(backlog.bytes(), 250 - 204);
    }

    #[test]
    fn closing_finishes_the_frame_that_was_begun() {
        let mut backlog = Backlog::default();
        backlog.push_note(frame(b'n', 10).into());
        backlog.push_shared(&shared(b"ab", 10), 0);
        backlog.advance(3);
        backlog.drop_unbegun();
        assert_eq!(drain(&mut backlog, 100), frame(b'n', 10)[3..]);
    }

    #[test]
    fn a_count_is_dropped_with_what_it_counts_unless_it_was_begun() {
        for begun in [false, true] {
            let mut backlog = Backlog::default();
            backlog.push_note(frame(b'n', 5).into());
            backlog.push_count(frame(b'c', 5).into());
            backlog.push_shared(&shared(b"a", 20), 0);
            backlog.push_count(frame(b'd', 5).into());
            backlog.advance(if begun { 8 } else { 7 });
            backlog.drop_data(|key| assert_eq!(key, u32::from(b'a')));
            let rest = if begun { frame(b'c', 5)[1..].to_vec() } else { Vec::new() };
            assert_eq!(backlog.note_bytes(), rest.len());
            assert_eq!(drain(&mut backlog, 100), rest);
        }
    }

    #[test]
    fn sealed_data_stays() {
        let mut backlog = Backlog::default();
        backlog.push_shared(&shared(b"ab", 20), 0);
        backlog.advance(5);
        backlog.seal();
        backlog.push_shared(&shared(b"cd", 20), 0);
        assert_eq!(backlog.keys().collect::<Vec<_>>(), [b'c', b'd'].map(u32::from));
        backlog.drop_data(|key| assert!(key >= u32::from(b'c')));
        assert_eq!(drain(&mut backlog, 6), [frame(b'a', 20), frame(b'b', 20)].concat()[5..]);
    }

    proptest! {
        #[test]
        fn what_is_dropped_and_what_is_sent_is_everything(
            payload in prop_oneof![1_usize..40, 120_usize..400],
            runs in prop::collection::vec(1_usize..5, 1..6),
            sent in 0_usize..2000,
            step in 1_usize..300,
        ) {
            let mut backlog = Backlog::default();
            let (mut fill, mut all) = (0_u8, Vec::new());
            for (n, frames) in runs.iter().enumerate() {
                let fills: Vec<u8> = (0..*frames as u8).map(|i| fill + i).collect();
                fill += *frames as u8;
                fills.iter().for_each(|fill| all.extend(frame(*fill, payload)));
                backlog.push_shared(&shared(&fills, payload), 0);
                if n % 2 == 1 {
                    all.extend(frame(b'~', 9));
                    backlog.push_note(frame(b'~', 9).into());
                }
            }
            let sent = sent.min(backlog.bytes());
            let mut wire = Vec::new();
            while wire.len() < sent {
                let parts = backlog.parts().concat();
                let taken = step.min(sent - wire.len()).min(parts.len());
                wire.extend(&parts[..taken]);
                backlog.advance(taken);
            }
            prop_assert_eq!(&wire[..], &all[..sent]);
            let mut lost = Vec::new();
            backlog.drop_data(|key| lost.push(key as u8));
            wire.extend(drain(&mut backlog, step));
            let (mut at, mut seen) = (0, Vec::new());
            while at < wire.len() {
                let length = frame_length(&wire[at..]);
                seen.push(wire[at + length - 1]);
                at += length;
            }
            prop_assert_eq!(at, wire.len(), "whole frames only");
            seen.retain(|fill| *fill != b'~');
            seen.extend(lost);
            prop_assert_eq!(seen, (0..fill).collect::<Vec<_>>());
        }
    }
}
