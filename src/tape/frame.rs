//! Frames read out of a segment file. Nothing in it is believed before its checksum holds, and no
//! length of it is allocated before it is known to be within its bound and the file.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use bytes::Bytes;

use super::error::TapeError;
use super::layout::{FRAME_HEAD, FRAME_MAGIC, Head, SEGMENT_HEAD, SegmentHead, TRAILER, Trailer};

/// Bytes that a search for the next frame looks at together.
const WINDOW: usize = 64 << 10;

/// A segment file, open for reading.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) path: PathBuf,
    file: File,
}

/// Which file something is: its device and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// Of a file.
    pub(super) fn of(about: &Metadata) -> Self {
        Self(about.dev(), about.ino())
    }
}

/// A frame whose checksums hold.
pub(super) struct Frame {
    pub(super) offset: u64,
    pub(super) head: Head,
    /// Decompressed.
    pub(super) payload: Bytes,
}

/// Why there is no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file ends here.
    End,
    /// The file ends within it.
    Cut,
    /// Something else is there.
    Bad(String),
}

impl SegmentFile {
    /// Opens a segment. What is no file is not waited for (a pipe that nobody writes to), nor read
    /// (a device without an end).
    ///
    /// # Errors
    /// The system's reasons; it is no file.
    pub(super) fn open(path: PathBuf) -> Result<Self, TapeError> {
        let opened = fs::metadata(&path).and_then(|about| match about.is_file() {
            true => File::open(&path),
            false => Err(io::Error::other("it is no file of bytes")),
        });
        let file = opened.map_err(TapeError::io(&path))?;
        Ok(Self { path, file })
    }

    /// Which file it is, whatever lies at its path by now.
    ///
    /// # Errors
    /// The system's reasons.
    pub(super) fn identity(&self) -> Result<Identity, TapeError> {
        Ok(Identity::of(&self.file.metadata().map_err(TapeError::io(&self.path))?))
    }

    /// Does another file lie at its path, or none?
    pub(super) fn is_replaced(&self) -> bool {
        let there = fs::metadata(&self.path).map(|about| Identity::of(&about));
        self.identity().ok() != there.ok()
    }

    /// Bytes of the file, now.
    pub(super) fn len(&self) -> Result<u64, TapeError> {
        Ok(self.file.metadata().map_err(TapeError::io(&self.path))?.len())
    }

    /// The segment's head.
    ///
    /// # Errors
    /// The disk's reasons; within, what is wrong with the head.
    pub(super) fn head(&self) -> Result<Result<SegmentHead, String>, TapeError> {
        Ok(SegmentHead::parse(&self.read(0, SEGMENT_HEAD)?))
    }

    /// Where the seal of a sealed segment is, and the bytes of the file up to the trailer's end.
    pub(super) fn seal(&self) -> Result<Option<u64>, TapeError> {
        let Some(at) = self.len()?.checked_sub(TRAILER as u64) else { return Ok(None) };
        let trailer = Trailer::parse(&self.read(at, TRAILER)?);
        Ok(trailer.map(|trailer| trailer.seal.get()).filter(|seal| *seal < at))
    }

    /// The frame at `offset`.
    ///
    /// # Errors
    /// The disk's reasons; within, why there is none.
    pub(super) fn frame(&self, offset: u64) -> Result<Result<Frame, Fault>, TapeError> {
        let bytes = self.read(offset, FRAME_HEAD)?;
        let Some(head) = Head::parse(&bytes) else {
            return Ok(Err(match bytes.len() {
                0 => Fault::End,
                n if n < FRAME_HEAD => Fault::Cut,
                _ => Fault::Bad("no block begins here, or its head is damaged".to_owned()),
            }));
        };
        let (data, stored) = (offset + FRAME_HEAD as u64, head.stored.get());
        if self.len()? < offset.saturating_add(head.frame_len()) {
            return Ok(Err(Fault::Cut));
        }
        let payload = self.read(data, stored as usize)?;
        if payload.len() < stored as usize {
            return Ok(Err(Fault::Cut));
        }
        if !head.matches(&payload) {
            return Ok(Err(Fault::Bad("a block fails its checksum".to_owned())));
        }
        Ok(decompressed(&head, payload).map(|payload| Frame { offset, head, payload }))
    }

    /// The first frame, of whatever epoch, wherever it is.
    pub(super) fn first_frame(&self) -> Result<Option<(u64, Head)>, TapeError> {
        self.search(0, |_| true)
    }

    /// The first place from `from` on where the head of a frame of this epoch is whole, with
    /// records or others after number `last_seq`.
    pub(super) fn resync(
        &self,
        from: u64,
        epoch: u64,
        last_seq: u64,
    ) -> Result<Option<(u64, Head)>, TapeError> {
        self.search(from, |head| head.epoch == epoch && head.prev_seq >= last_seq)
    }

    fn search(
        &self,
        from: u64,
        fits: impl Fn(&Head) -> bool,
    ) -> Result<Option<(u64, Head)>, TapeError> {
        let mut base = from;
        loop {
            let bytes = self.read(base, WINDOW + FRAME_HEAD - 1)?;
            let starts = bytes.windows(FRAME_MAGIC.len()).enumerate();
            let heads = starts
                .filter(|(_, word)| *word == FRAME_MAGIC)
                .filter_map(|(at, _)| Some((base + at as u64, Head::parse(&bytes[at..])?)));
            if let Some(found) = heads.into_iter().find(|(_, head)| fits(head)) {
                return Ok(Some(found));
            }
            if bytes.len() < WINDOW + FRAME_HEAD - 1 {
                return Ok(None);
            }
            base += WINDOW as u64;
        }
    }

    /// As many of `count` bytes from `offset` on as there are.
    fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>, TapeError> {
        let mut bytes = vec![0; count];
        let mut have = 0;
        while have < count {
            match self.file.read_at(&mut bytes[have..], offset.saturating_add(have as u64)) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TapeError::Io { path: self.path.clone(), error }),
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }
}

/// A payload as it was before it was stored; its head has bounded its length.
fn decompressed(head: &Head, payload: Vec<u8>) -> Result<Bytes, Fault> {
    let raw = head.raw.get() as usize;
    let payload = match head.encoding {
        0 => payload,
        1 => zstd::bulk::decompress(&payload, raw)
            .map_err(|error| Fault::Bad(format!("a block can't be decompressed: {error}")))?,
        other => return Err(Fault::Bad(format!("a block is encoded in unknown way {other}"))),
    };
    if payload.len() != raw {
        return Err(Fault::Bad("a block is not as long as its head says".to_owned()));
    }
    Ok(payload.into())
}
