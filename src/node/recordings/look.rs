//! What lies in a folder of recordings.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::limits::{RECORDING_LIVE, RECORDING_NAME};

/// What DBN files end with.
const ENDINGS: [&str; 5] = [".dbn", ".dbn.zst", ".dbn.gz", ".dbn.xz", ".dbz"];

/// A file that has not been written to for this long is whole.
const QUIET: Duration = Duration::from_secs(1);

/// Something that may be a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) stamp: Stamp,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The folder of a tape.
    Tape,
    /// A DBN file, perhaps.
    File,
}

/// By what a change is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Bytes.
    pub(super) size: u64,
    /// When it was written to last, ns since the UNIX epoch.
    pub(super) changed: u64,
}

impl Stamp {
    /// Of a file.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let seconds = u64::try_from(metadata.mtime()).unwrap_or_default();
        let changed =
            seconds.wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec() as u64);
        Self { size: metadata.len(), changed }
    }

    /// Has it not been written to for a while?
    pub(super) fn is_old(self) -> bool {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_nanos(self.changed);
        SystemTime::now().duration_since(changed).is_ok_and(|age| age >= QUIET)
    }
}

/// The recordings of a folder, each name once. `left_out` is told why something is left out; it
/// says whether that is news.
pub(super) fn candidates(
    folder: &Path,
    left_out: &mut dyn FnMut(String) -> bool,
) -> io::Result<Vec<Candidate>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut found: Vec<Candidate> = Vec::new();
    for path in paths {
        match candidate(folder, &path) {
            Ok(Some(new)) if found.iter().all(|one| one.name != new.name) => found.push(new),
            Ok(Some(new)) => say(&path, &format!("{:?} is another's name", new.name), left_out),
            Ok(None) => {}
            Err(why) => say(&path, why, left_out),
        }
    }
    Ok(found)
}

fn say(path: &Path, why: &str, left_out: &mut dyn FnMut(String) -> bool) {
    let text = format!("{}: {why}", path.display());
    if left_out(text.clone()) {
        tracing::warn!("left out of the recordings: {text}");
    }
}

/// What is at a path, where it may be a recording; why not, where it looks like one.
fn candidate(folder: &Path, path: &Path) -> Result<Option<Candidate>, &'static str> {
    let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
        return Err("its name is not UTF-8");
    };
    if file.starts_with('.') {
        return Ok(None);
    }
    let name = ENDINGS.iter().rev().find_map(|ending| file.strip_suffix(ending));
    let Ok(metadata) = fs::metadata(path) else {
        // What has gone meanwhile is nothing.
        return match name.is_some() && path.is_symlink() {
            true => Err("it leads nowhere"),
            false => Ok(None),
        };
    };
    let tape = if metadata.is_dir() { stamp_of_tape(folder, path)? } else { None };
    let (name, kind, stamp) = match (name, tape) {
        (_, Some(stamp)) => (file, Kind::Tape, stamp),
        (Some(name), None) if metadata.is_file() => (name, Kind::File, Stamp::of(&metadata)),
        (Some(_), None) => return Err("it is neither a file nor a tape"),
        (None, None) => return Ok(None),
    };
    if leads_out(folder, path) {
        return Err("it leads out of the folder");
    }
    if name == RECORDING_LIVE {
        return Err("live is what the server itself records");
    }
    if name.is_empty() || name.len() > RECORDING_NAME || name.chars().any(char::is_control) {
        return Err("its name is not 1 to 128 bytes without control characters");
    }
    Ok(Some(Candidate { name: name.to_owned(), path: path.to_owned(), kind, stamp }))
}

fn leads_out(folder: &Path, path: &Path) -> bool {
    !path.canonicalize().is_ok_and(|real| real.starts_with(folder))
}

/// Of all segments of a tape; none where it is none.
fn stamp_of_tape(folder: &Path, tape: &Path) -> Result<Option<Stamp>, &'static str> {
    let mut all = Stamp::default();
    let mut segments = 0;
    // What can't be listed is no tape.
    for entry in fs::read_dir(tape).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "tape")
            && let Ok(metadata) = entry.metadata()
        {
            if metadata.is_symlink() && leads_out(folder, &path) {
                return Err("one of its files leads out of the folder");
            }
            let stamp = Stamp::of(&metadata);
            all.size += stamp.size;
            all.changed = all.changed.max(stamp.changed);
            segments += 1;
        }
    }
    Ok((segments > 0).then_some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_recording_and_what_is_not() {
        let outside = tempfile::NamedTempFile::with_suffix(".dbn").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["a.dbn", "b.dbn.zst", "b.dbn", "old.dbz", ".hidden.dbn", "x.toml", "live.dbn"]
        {
            fs::write(root.join(name), "x").unwrap();
        }
        fs::create_dir(root.join("tape")).unwrap();
        fs::write(root.join("tape/00000000000000000001.tape"), "x").unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("out.dbn")).unwrap();
        std::os::unix::fs::symlink(root.join("a.dbn"), root.join("in.dbn")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.join("nowhere.dbn")).unwrap();
        fs::create_dir_all(root.join("folder.dbn/empty")).unwrap();
        fs::create_dir(root.join("lent")).unwrap();
        let lent = root.join("lent/00000000000000000001.tape");
        std::os::unix::fs::symlink(outside.path(), lent).unwrap();
        let mut left_out = Vec::new();
        let found = candidates(&root, &mut |why| {
            left_out.push(why.rsplit('/').next().unwrap_or_default().to_owned());
            true
        });
        let found = found.unwrap();
        let names: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.kind)).collect();
        let file = |name| (name, Kind::File);
        let right = [file("a"), file("b"), file("in"), file("old"), ("tape", Kind::Tape)];
        assert_eq!(names, right);
        for why in [
            "out.dbn: it leads out of the folder",
            "nowhere.dbn: it leads nowhere",
            "folder.dbn: it is neither a file nor a tape",
            "lent: one of its files leads out of the folder",
        ] {
            assert!(left_out.iter().any(|said| said == why), "{why}: {left_out:?}");
        }
        assert_eq!(left_out.len(), 6, "{left_out:?}");
    }
}
