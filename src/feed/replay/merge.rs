//! Several files as one stream, stably merged by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::clock::UnixNanos;
use crate::feed::source::{Recording, Source};
use crate::wire::file::{Extent, FileError};
use crate::wire::record::{self, UNDEF_TIMESTAMP};

/// Files, each at a record of its own. The next record is that of the file with the smallest key; a
/// file's key is the newest time it has come to, so that its own order stays as it is.
pub(super) struct Merge {
    recordings: Vec<Recording>,
    sources: Vec<Box<dyn Source>>,
    /// Files that are at a record: key, index.
    heads: BinaryHeap<Reverse<(UnixNanos, usize)>>,
    /// A file that failed: nothing is played past the place.
    failed: Option<FileError>,
}

impl Merge {
    /// Opens the files.
    ///
    /// # Errors
    /// The first file that can't be opened or is of another format.
    pub(super) fn open(recordings: Vec<Recording>) -> Result<Self, FileError> {
        let sources = recordings.iter().map(Recording::open).collect::<Result<_, _>>()?;
        let heads = BinaryHeap::with_capacity(recordings.len());
        let mut merge = Self { recordings, sources, heads, failed: None };
        merge.begin();
        Ok(merge)
    }

    /// Opens all files again, to begin anew.
    ///
    /// # Errors
    /// As for [`Merge::open`].
    pub(super) fn rewind(&mut self) -> Result<(), FileError> {
        *self = Self::open(std::mem::take(&mut self.recordings))?;
        Ok(())
    }

    fn begin(&mut self) {
        for (file, source) in self.sources.iter_mut().enumerate() {
            match source.advance() {
                Ok(true) => {
                    let key = time_of(source.record()).unwrap_or_default();
                    self.heads.push(Reverse((key, file)));
                }
                Ok(false) => {}
                Err(error) => {
                    self.failed.get_or_insert(error);
                }
            }
        }
    }

    /// The file whose record is next; none at the end of all.
    ///
    /// # Errors
    /// A file that was found damaged where the record was to be: taken out, nothing follows.
    #[inline]
    pub(super) fn head(&mut self) -> Result<Option<usize>, FileError> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Err(error);
        }
        Ok(self.heads.peek().map(|Reverse((_, file))| *file))
    }

    /// Moves on past the record that [`Merge::head`] tells.
    #[inline]
    pub(super) fn advance(&mut self) {
        let Some(mut head) = self.heads.peek_mut() else { return };
        let Reverse((key, file)) = *head;
        match self.sources[file].advance() {
            Ok(true) => {
                let time = time_of(self.sources[file].record()).unwrap_or_default();
                if time > key {
                    *head = Reverse((time, file));
                }
            }
            Ok(false) => {
                PeekMut::pop(head);
            }
            Err(error) => {
                PeekMut::pop(head);
                self.failed = Some(error);
            }
        }
    }

    /// A file.
    #[inline]
    pub(super) fn source(&self, file: usize) -> &dyn Source {
        &*self.sources[file]
    }

    /// A file whose record is to be changed.
    #[inline]
    pub(super) fn source_mut(&mut self, file: usize) -> &mut dyn Source {
        &mut *self.sources[file]
    }

    /// All files, in the order in which they were given.
    pub(super) fn sources(&self) -> &[Box<dyn Source>] {
        &self.sources
    }

    /// How far all files have been read.
    pub(super) fn extent(&self) -> Extent {
        self.sources.iter().map(|source| source.extent()).sum()
    }

    /// What they are.
    pub(super) fn recordings(&self) -> &[Recording] {
        &self.recordings
    }
}

/// When it was recorded: its index time; none where it has none.
#[inline]
pub(super) fn time_of(record: &[u8]) -> Option<UnixNanos> {
    let time = record::index_ts(record);
    (time != UNDEF_TIMESTAMP && time != 0).then_some(time)
}
