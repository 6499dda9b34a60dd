//! Several files as one stream, stably merged by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::PathBuf;

use crate::clock::UnixNanos;
use crate::wire::file::{FileError, Reader};
use crate::wire::record::{self, UNDEF_TIMESTAMP};

/// Files, each at a record of its own. The next record is that of the file with the smallest key; a
/// file's key is the newest time it has come to, so that its own order stays as it is.
pub(super) struct Merge {
    paths: Vec<PathBuf>,
    readers: Vec<Reader>,
    /// Files that are at a record: key, index.
    heads: BinaryHeap<Reverse<(UnixNanos, usize)>>,
    /// A file that failed: nothing is played past the place.
    failed: Option<FileError>,
}

impl Merge {
    /// Opens the files.
    ///
    /// # Errors
    /// The first file that can't be opened or is no DBN.
    pub(super) fn open(paths: Vec<PathBuf>) -> Result<Self, FileError> {
        let readers = paths.iter().map(|path| Reader::open(path)).collect::<Result<_, _>>()?;
        let heads = BinaryHeap::with_capacity(paths.len());
        let mut merge = Self { paths, readers, heads, failed: None };
        merge.begin();
        Ok(merge)
    }

    /// Opens all files again, to begin anew.
    ///
    /// # Errors
    /// As for [`Merge::open`].
    pub(super) fn rewind(&mut self) -> Result<(), FileError> {
        *self = Self::open(std::mem::take(&mut self.paths))?;
        Ok(())
    }

    fn begin(&mut self) {
        for (file, reader) in self.readers.iter_mut().enumerate() {
            match reader.advance() {
                Ok(true) => {
                    let key = time_of(reader.record()).unwrap_or_default();
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
        match self.readers[file].advance() {
            Ok(true) => {
                let time = time_of(self.readers[file].record()).unwrap_or_default();
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
    pub(super) fn reader(&self, file: usize) -> &Reader {
        &self.readers[file]
    }

    /// A file whose record is to be changed.
    #[inline]
    pub(super) fn reader_mut(&mut self, file: usize) -> &mut Reader {
        &mut self.readers[file]
    }

    /// All files, in the order in which they were given.
    pub(super) fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// Bytes of all files, as they are stored.
    pub(super) fn size(&self) -> u64 {
        self.readers.iter().map(Reader::size).sum()
    }

    /// Bytes that were read of them.
    pub(super) fn bytes_read(&self) -> u64 {
        self.readers.iter().map(Reader::bytes_read).sum()
    }

    /// Their paths.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

/// When it was recorded: its index time; none where it has none.
#[inline]
pub(super) fn time_of(record: &[u8]) -> Option<UnixNanos> {
    let time = record::index_ts(record);
    (time != UNDEF_TIMESTAMP && time != 0).then_some(time)
}
