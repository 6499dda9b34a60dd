//! Copies of DBN files as tapes, and the folder in which they are kept.
//!
//! A copy is named after its file, that file's size and its time of change: a file that changes
//! gets another. It is made under a name of its own, and gets its name when it is whole.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};

use super::look::Stamp;
use super::without_folder;
use crate::feed::replay::Records;
use crate::limits::RECORDINGS_MAX;
use crate::node::machinery::random_epoch;
use crate::tape::library::{Entry, Library, State, Summary};
use crate::tape::{Tape, Transcript, is_abandoned};
use crate::wire::record::index_ts;

/// The hidden folder of copies in a folder of recordings.
const HIDDEN: &str = ".broadtape";
/// What the name of a copy in the making ends with.
const PARTIAL: &str = ".partial";
/// Records between two looks whether a copy is still wanted.
const LOOK: u64 = 1 << 16;

/// Where copies are kept.
pub(super) struct Cache {
    folder: PathBuf,
    /// Is it removed in the end?
    temporary: bool,
}

impl Cache {
    /// For a folder of recordings.
    ///
    /// # Errors
    /// Where no folder can be made.
    pub(super) fn of(recordings: &Path, wanted: Option<&Path>) -> io::Result<Self> {
        if let Some(folder) = wanted {
            let named = |error| {
                io::Error::other(format!("--recordings-cache {}: {error}", folder.display()))
            };
            make(folder).map_err(named)?;
            if folder.canonicalize().map_err(named)? == recordings {
                return Err(named(io::Error::other("copies need a folder of their own")));
            }
            return Ok(Self { folder: folder.to_owned(), temporary: false });
        }
        let folder = recordings.join(HIDDEN);
        match make(&folder) {
            Ok(()) => Ok(Self { folder, temporary: false }),
            Err(error) => {
                let name = format!("broadtape-{:016x}", random_epoch()?);
                let temporary = std::env::temp_dir().join(name);
                tracing::info!(
                    "{}: {error}; copies of recordings are kept in {}",
                    folder.display(),
                    temporary.display()
                );
                make(&temporary)?;
                Ok(Self { folder: temporary, temporary: true })
            }
        }
    }

    /// Where the copy of a recording is, or is to be.
    fn place(&self, name: &str, stamp: Stamp) -> PathBuf {
        self.folder.join(format!("{name}.{}.{:020}", stamp.size, stamp.changed))
    }

    /// Removes all copies but those of these recordings, and what was given up in the making.
    pub(super) fn keep_only<'a>(&self, wanted: impl Iterator<Item = (&'a str, Stamp)>) {
        let wanted: Vec<_> = wanted.map(|(name, stamp)| self.place(name, stamp)).collect();
        self.remove_where(|path, name| match name.ends_with(PARTIAL) {
            true => is_abandoned(path),
            false => recording_of(name).is_some() && !wanted.iter().any(|wanted| wanted == path),
        });
    }

    /// Removes the copies of a recording.
    pub(super) fn remove(&self, name: &str) {
        self.remove_where(|_, copy| recording_of(copy) == Some(name));
    }

    /// Removes those copies of a recording that are older than this one.
    fn remove_older(&self, name: &str, kept: &Path) {
        self.remove_where(|path, copy| recording_of(copy) == Some(name) && path != kept);
    }

    /// Removes all of it, where it is temporary.
    pub(super) fn end(&self) {
        if self.temporary {
            // What can't be removed is in a temporary folder.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    fn remove_where(&self, which: impl Fn(&Path, &str) -> bool) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if which(&path, name)
                && is_copy(&path)
                && let Err(error) = fs::remove_dir_all(&path)
            {
                tracing::warn!(copy = %path.display(), %error, "a copy can't be removed");
            }
        }
    }
}

/// Makes a folder for ourselves, where it is not there, and sees whether it can be written to.
fn make(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}

/// Of which recording a copy is, by its name: `NAME.SIZE.TIME`, the time of 20 digits.
fn recording_of(copy: &str) -> Option<&str> {
    let mut parts = copy.rsplitn(3, '.');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let time = parts.next().is_some_and(|part| digits(part) && part.len() == 20);
    let numbers = time && parts.next().is_some_and(digits);
    parts.next().filter(|_| numbers)
}

/// Holds a folder nothing but a tape? Whoever chose the folder for copies may have more in it.
fn is_copy(folder: &Path) -> bool {
    let part = |name: &str| name.ends_with(".tape") || name.ends_with(".lock");
    let parts = |entry: fs::DirEntry| entry.file_name().to_str().is_some_and(part);
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(parts))
}

/// A file to be copied.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// Why there is no copy.
enum Failed {
    /// The file has changed or gone: it comes again, or not.
    Stale,
    /// For this reason.
    Because(String),
}

/// Who makes the copies: of what waits the smallest first, and in the midst of a large one those
/// of what is at most half as large, so that nobody waits long for what is soon done.
pub(super) struct Copier {
    library: Weak<Library>,
    cache: Arc<Cache>,
    jobs: Receiver<Job>,
    /// Those that were taken from the queue, one of each name.
    waiting: Vec<Job>,
}

impl Copier {
    pub(super) fn new(library: &Arc<Library>, cache: Arc<Cache>, jobs: Receiver<Job>) -> Self {
        Self { library: Arc::downgrade(library), cache, jobs, waiting: Vec::new() }
    }

    /// Until nobody has jobs any more.
    pub(super) fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            self.wait_with(job);
            while let Some(job) = self.next(u64::MAX) {
                self.serve(&job);
            }
        }
    }

    /// The smallest of what waits, where it is no larger than `most`.
    fn next(&mut self, most: u64) -> Option<Job> {
        while self.waiting.len() < RECORDINGS_MAX
            && let Ok(job) = self.jobs.try_recv()
        {
            self.wait_with(job);
        }
        let sizes = self.waiting.iter().map(|job| job.stamp.size).enumerate();
        let (at, size) = sizes.min_by_key(|(_, size)| *size)?;
        (size <= most).then(|| self.waiting.swap_remove(at))
    }

    fn wait_with(&mut self, job: Job) {
        self.waiting.retain(|other| other.name != job.name);
        self.waiting.push(job);
    }

    /// Makes a copy where it is not there, and lists it.
    fn serve(&mut self, job: &Job) {
        let state = match self.copy(job) {
            Ok(state) => state,
            Err(Failed::Stale) => return,
            Err(Failed::Because(words)) => {
                tracing::warn!(recording = %job.name, %words, "a recording can't be replayed");
                State::Refused(without_folder(&words, &job.path))
            }
        };
        if let Some(library) = self.library.upgrade()
            && library.get(&job.name).is_some_and(|entry| entry.path == job.path)
        {
            library.put(&job.name, Entry { path: job.path.clone(), state });
        }
    }

    /// The copy of a file, made where it is not there.
    fn copy(&mut self, job: &Job) -> Result<State, Failed> {
        let because = |error: &dyn std::fmt::Display| Failed::Because(error.to_string());
        let place = self.cache.place(&job.name, job.stamp);
        if self.library.strong_count() == 0 {
            return Err(Failed::Stale);
        }
        if !place.exists() {
            // Somebody may have removed the folder with all copies.
            make(&self.cache.folder).map_err(|error| because(&error))?;
            let partial = format!(".{}.{}{PARTIAL}", job.name, std::process::id());
            let partial = self.cache.folder.join(partial);
            let made = self.make(job, &partial);
            let made = made.and_then(|()| match fs::rename(&partial, &place) {
                // Another process has made the same.
                Err(_) if place.exists() => Ok(()),
                named => named.map_err(|error| because(&error)),
            });
            // Where it was renamed there is nothing left.
            let _ = fs::remove_dir_all(&partial);
            made?;
            self.cache.remove_older(&job.name, &place);
        }
        let tape = Tape::open(&place).map_err(|error| because(&error))?;
        let summary = Summary::of(&tape).map_err(|error| because(&error))?;
        Ok(State::Ready { tape: Arc::new(place), summary, damage: None })
    }

    /// Copies the records of a file to a new tape.
    fn make(&mut self, job: &Job, place: &Path) -> Result<(), Failed> {
        let because = |error: &dyn std::fmt::Display| Failed::Because(error.to_string());
        let mut records = Records::open(vec![job.path.clone()]).map_err(|error| because(&error))?;
        let epoch = random_epoch().map_err(|error| because(&error))?;
        let mut tape = Transcript::create(place, epoch).map_err(|error| because(&error))?;
        let (mut known, mut count) = (0, 0_u64);
        loop {
            let more = records.advance().map_err(|error| because(&error))?;
            let new = &records.instruments()[known..];
            tape.introduce(new).map_err(|error| because(&error))?;
            known += new.len();
            if !more {
                break;
            }
            let record = records.record();
            let ts_out = records.ts_out().unwrap_or_else(|| index_ts(record));
            tape.push(record, ts_out).map_err(|error| because(&error))?;
            count += 1;
            if count.is_multiple_of(LOOK) {
                if !self.is_wanted(job) {
                    return Err(Failed::Stale);
                }
                while let Some(smaller) = self.next(job.stamp.size / 2) {
                    self.serve(&smaller);
                }
            }
        }
        if !self.is_wanted(job) {
            return Err(Failed::Stale);
        }
        tape.finish().map_err(|error| because(&error))
    }

    /// Is the file what it was, and does anybody want it?
    fn is_wanted(&self, job: &Job) -> bool {
        let same = fs::metadata(&job.path).is_ok_and(|now| Stamp::of(&now) == job.stamp);
        same && self.library.strong_count() > 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_copy_says_whose_it_is() {
        let time = "01700000000000000000";
        assert_eq!(recording_of(&format!("a.1.{time}")), Some("a"));
        assert_eq!(recording_of(&format!("a.b.1.{time}")), Some("a.b"));
        let others = ["a", "a.1", ".1.2.partial", "a..2", "a.x.2", "python.3.11"];
        for other in others.map(str::to_owned).iter().chain(&[format!("a.x.{time}")]) {
            assert_eq!(recording_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_smallest_goes_first_and_each_name_once() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, library) = (Cache::of(folder.path(), None).unwrap(), Arc::default());
        let (jobs, queue) = sync_channel(9);
        let mut copier = Copier::new(&library, Arc::new(cache), queue);
        for (name, size) in [("large", 900), ("small", 20), ("grown", 10), ("grown", 300)] {
            let stamp = Stamp { size, changed: 0 };
            jobs.send(Job { name: name.to_owned(), path: name.into(), stamp }).unwrap();
        }
        let mut next = |most| copier.next(most).map(|job| job.name);
        assert_eq!(next(19), None);
        let order = [next(450), next(450), next(450), next(u64::MAX), next(u64::MAX)];
        assert_eq!(
            order.each_ref().map(Option::as_deref),
            [Some("small"), Some("grown"), None, Some("large"), None]
        );
    }
}
