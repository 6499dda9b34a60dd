//! A recorded file of any format as a window of decompressed bytes, with what errors and progress
//! bars say of it.

use std::iter::Sum;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::window::Window;
use super::{Fault, FileError, Place, source};
use crate::limits::LINE_MAX;

/// Bytes that the first look at a line takes.
const GLANCE: usize = 4 << 10;

/// An open file.
pub struct Input {
    name: String,
    window: Window,
    read: Arc<AtomicU64>,
    size: u64,
    lines: u64,
}

/// Bytes of files, as they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Of them all.
    pub size: u64,
    /// Of what has been read.
    pub read: u64,
}

impl Sum for Extent {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |all, one| Self {
            size: all.size + one.size,
            read: all.read + one.read,
        })
    }
}

/// A line that stands at the start of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its bytes, without its end.
    pub length: usize,
    /// Its bytes, with its end.
    pub taken: usize,
}

impl Input {
    /// Opens a file, decompressed where it is compressed.
    ///
    /// # Errors
    /// [`FileError`] where it can't be opened or is empty.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let read = Arc::new(AtomicU64::new(0));
        let failed = |fault: Fault| FileError { file: name.clone(), place: Place::File, fault };
        let (file, size) =
            source::open(path, read.clone()).map_err(|error| failed(Fault::Open(error)))?;
        let stream = source::decompress(file).map_err(failed)?;
        Ok(Self { window: Window::new(stream), read, size, lines: 0, name })
    }

    /// A stream that people know as `name`.
    ///
    /// # Errors
    /// [`FileError`] where it is empty.
    pub fn new(
        name: String,
        stream: impl std::io::Read + Send + 'static,
    ) -> Result<Self, FileError> {
        match source::decompress(stream) {
            Ok(stream) => Ok(Self {
                name,
                window: Window::new(stream),
                read: Arc::default(),
                size: 0,
                lines: 0,
            }),
            Err(fault) => Err(FileError { file: name, place: Place::File, fault }),
        }
    }

    /// Sees to it that `need` bytes (which the caller has bounded) are there; false where the file
    /// ends before.
    ///
    /// # Errors
    /// The disk failed, or the compression is damaged or cut short.
    pub fn fill(&mut self, need: usize) -> Result<bool, FileError> {
        self.window.fill(need).map_err(|error| self.fault(Place::File, Fault::Read(error)))
    }

    /// What is there, from where it stands on.
    pub fn data(&self) -> &[u8] {
        self.window.data()
    }

    /// The same, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.window.data_mut()
    }

    /// Moves on.
    pub fn consume(&mut self, length: usize) {
        self.window.consume(length);
    }

    /// The next line, of [`LINE_MAX`] bytes at most; none at the end.
    ///
    /// # Errors
    /// As for [`Input::fill`], and a line that is longer.
    pub fn line(&mut self) -> Result<Option<Line>, FileError> {
        let (mut looked, mut need) = (0, GLANCE);
        loop {
            let more = self.fill(need)?;
            let data = self.window.data();
            // Behind the longest line there may be its end.
            let within = data.len().min(LINE_MAX + 2);
            let end = data[looked..within].iter().position(|byte| *byte == b'\n');
            let (length, taken) = match end.map(|at| looked + at) {
                Some(end) => (end - usize::from(data[..end].ends_with(b"\r")), end + 1),
                None if more && within < LINE_MAX + 2 => {
                    (looked, need) = (within, (within * 2).min(LINE_MAX + 2));
                    continue;
                }
                None => (within, within),
            };
            if length > LINE_MAX {
                let reason = format!("is longer than the {LINE_MAX} bytes that a line may have");
                let place = Place::Line(self.lines + 1);
                return Err(self.fault(place, Fault::Format(reason)));
            }
            self.lines += u64::from(taken > 0);
            return Ok((taken > 0).then_some(Line { length, taken }));
        }
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes of the decompressed stream before where it stands.
    pub fn consumed(&self) -> u64 {
        self.window.consumed()
    }

    /// An error about it.
    pub fn fault(&self, place: Place, fault: Fault) -> FileError {
        FileError { file: self.name.clone(), place, fault }
    }

    /// An error of its format: what it begins with, and what was expected.
    pub fn foreign(&self, expected: &str) -> FileError {
        let begins = source::describe(self.window.data());
        let reason = format!("begins with {begins}; expected {expected}");
        self.fault(Place::File, Fault::Format(reason))
    }

    /// What people call it: its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far it has been read.
    pub fn extent(&self) -> Extent {
        Extent { size: self.size, read: self.read.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn input(bytes: &[u8]) -> Input {
        Input::new("x".to_owned(), Cursor::new(bytes.to_vec())).unwrap()
    }

    fn lines(mut input: Input) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(line) = input.line().unwrap() {
            all.push(String::from_utf8(input.data()[..line.length].to_vec()).unwrap());
            input.consume(line.taken);
        }
        all
    }

    #[test]
    fn lines_may_be_long_and_end_in_any_way() {
        let long = "x".repeat(700_000);
        let text = format!("a\r\n\n{long}\nlast");
        assert_eq!(lines(input(text.as_bytes())), ["a", "", &long, "last"]);
        assert!(lines(input(b"\n")) == [""]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut endless = Input::new("x".to_owned(), std::io::repeat(b'a')).unwrap();
        let error = endless.line().unwrap_err().to_string();
        assert!(error.contains("x: line 1: is longer than"), "{error}");
    }

    #[test]
    fn the_longest_line_is_as_long_as_it_may_be_however_it_ends() {
        let longest = vec![b'a'; LINE_MAX];
        for end in ["", "\n", "\r\n", "\nnext"] {
            let line = input(&[&longest, end.as_bytes()].concat()).line().unwrap().unwrap();
            assert_eq!(line.length, LINE_MAX, "{end:?}");
            let longer = [b"first\na", &longest[..], end.as_bytes()].concat();
            let mut longer = input(&longer);
            let first = longer.line().unwrap().unwrap();
            longer.consume(first.taken);
            let error = longer.line().unwrap_err().to_string();
            assert!(error.contains("x: line 2: is longer than"), "{end:?}: {error}");
        }
    }

    #[test]
    fn any_compression_is_undone() {
        let text = "one\ntwo\n".repeat(10_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let mut gzip = gzip.finish().unwrap();
        gzip.extend(gzip.clone());
        let xz = liblzma::encode_all(text.as_bytes(), 1).unwrap();
        let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (bytes, times) in [(gzip, 2), (xz, 1), (zstd, 1)] {
            assert_eq!(lines(input(&bytes)).len(), 20_000 * times);
            let mut cut = input(&bytes[..bytes.len() - 5]);
            let error = std::iter::from_fn(|| match cut.line() {
                Ok(Some(line)) => {
                    cut.consume(line.taken);
                    Some(None)
                }
                Ok(None) => None,
                Err(error) => Some(Some(error.to_string())),
            });
            let error = error.flatten().next().unwrap();
            assert!(error.contains("can't be read on"), "{error}");
        }
    }
}
