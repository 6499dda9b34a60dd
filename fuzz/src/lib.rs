//! What the targets share: a place for a file, and a recording read to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use broadtape::feed::source::{Format, How, Recording};
use broadtape::wire::record::{self, rtype};
use tempfile::TempDir;

/// Bytes that an input brings at most in records: the rest of a bomb is not waited for.
const RECORDS_MAX: u64 = 20_000;

/// A folder in memory, where the system has such; it goes with the process.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for the input")
});

/// A file with these bytes, over what it held before.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.path().join(name);
    fs::write(&path, bytes).expect("a file for the input");
    path
}

/// A folder that holds these files and nothing else.
pub fn folder(files: &[(&str, &[u8])]) -> PathBuf {
    let path = FOLDER.path().join("folder");
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).expect("a folder for the input");
    for (name, bytes) in files {
        fs::write(path.join(name), bytes).expect("a file for the input");
    }
    path
}

/// Reads a recording to its end or its first error, and holds each record to what everything behind
/// a source relies on: it is as long as it says, whole, and its rtype is one of DBN's.
pub fn read(format: Format, paths: Vec<PathBuf>, how: How) {
    let recording = Recording { format, paths, how: Arc::new(how) };
    let mut source = match recording.open() {
        Ok(source) => source,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    while source.records() < RECORDS_MAX {
        match source.advance() {
            Ok(true) => check(source.record()),
            Ok(false) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
    if source.records() < RECORDS_MAX {
        assert!(!matches!(source.advance(), Ok(true)), "the end is the end");
        assert!(source.record().is_empty(), "it stands at no record");
    }
}

/// Holds a record to what others rely on.
fn check(bytes: &[u8]) {
    assert!(bytes.len() >= record::HEADER, "{} bytes", bytes.len());
    assert_eq!(record::length(bytes), bytes.len(), "what it says of its length");
    assert!(bytes.len() <= broadtape::limits::RECORD_MAX, "{} bytes", bytes.len());
    let kind = record::rtype_of(bytes);
    if kind == rtype::MBO {
        assert_eq!(bytes.len(), size_of::<record::MboMsg>());
    }
}

/// The settings that the formats need which don't say everything themselves.
pub fn how() -> How {
    let mut how = How::default();
    how.set_date("2019-12-30").expect("a day");
    how.set_symbol("AAPL").expect("a symbol");
    how
}

/// Splits an input in two at its first line that holds nothing but `---`.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    const MARK: &[u8] = b"\n---\n";
    match data.windows(MARK.len()).position(|window| window == MARK) {
        Some(at) => (&data[..=at], &data[at + MARK.len()..]),
        None => (data, &[]),
    }
}
