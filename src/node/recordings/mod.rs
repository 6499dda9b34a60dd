//! The folder of recordings that clients may have replayed and download: watched, so that what is
//! put there is listed and what is taken away is not.
//!
//! Tapes are read as they are. A DBN file is copied once into a tape that is kept in a folder of
//! its own ([`copy`]), so that it can be read from any time; until that is done it is listed as
//! being prepared.

mod copy;
mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use self::copy::{Cache, Copier, Job};
use self::look::{Candidate, Kind, Stamp};
use super::options::RecordingsOptions;
use crate::limits::{RECORDINGS_MAX, RECORDINGS_POLL, RECORDINGS_TAPE_POLL};
use crate::tape::Tape;
use crate::tape::library::{Entry, Library, State, Summary};

/// The folder of recordings, as long as it is watched.
pub(super) struct Recordings {
    /// What is in it.
    pub(super) library: Arc<Library>,
    cache: Arc<Cache>,
}

impl Drop for Recordings {
    fn drop(&mut self) {
        self.cache.end();
    }
}

/// Starts to watch a folder: what is there is in the library when this returns. The threads end
/// with the library.
///
/// # Errors
/// The folder can't be read, copies can't be kept, or the system has no thread to give.
pub(super) fn start(options: &RecordingsOptions) -> io::Result<Recordings> {
    let folder = options.folder.canonicalize()?;
    let library = Arc::new(Library::default());
    let cache = Arc::new(Cache::of(&folder, options.cache.as_deref())?);
    let (jobs, queue) = sync_channel(RECORDINGS_MAX);
    let copier = Copier::new(&library, cache.clone(), queue);
    thread::Builder::new().name("copies".to_owned()).spawn(move || copier.run())?;
    let (seen, told) = (BTreeMap::new(), BTreeSet::new());
    let mut watcher = Watcher { folder, cache: cache.clone(), jobs, seen, told };
    watcher.look(&library)?;
    watcher.cache.keep_only(watcher.seen.iter().map(|(name, seen)| (name.as_str(), seen.stamp)));
    let weak = Arc::downgrade(&library);
    thread::Builder::new().name("recordings".to_owned()).spawn(move || watcher.run(&weak))?;
    Ok(Recordings { library, cache })
}

/// What was seen of a recording.
struct Seen {
    path: PathBuf,
    stamp: Stamp,
    /// Is it in the library as it is?
    taken: bool,
    /// When it was looked at.
    at: Instant,
}

struct Watcher {
    folder: PathBuf,
    cache: Arc<Cache>,
    jobs: SyncSender<Job>,
    seen: BTreeMap<String, Seen>,
    /// What was said of names that are left out.
    told: BTreeSet<String>,
}

impl Watcher {
    fn run(mut self, library: &Weak<Library>) {
        let mut failed = false;
        loop {
            thread::sleep(RECORDINGS_POLL);
            let Some(library) = library.upgrade() else { return };
            let looked = self.look(&library);
            if let (Err(error), false) = (&looked, failed) {
                tracing::warn!(folder = %self.folder.display(), %error, "recordings can't be read");
            }
            failed = looked.is_err();
        }
    }

    /// Looks at the folder once.
    fn look(&mut self, library: &Library) -> io::Result<()> {
        let mut candidates = BTreeMap::new();
        for candidate in look::candidates(&self.folder, &mut |why| self.told.insert(why))? {
            if candidates.len() == RECORDINGS_MAX {
                self.told.insert(format!("more than {RECORDINGS_MAX} recordings"));
                break;
            }
            candidates.insert(candidate.name.clone(), candidate);
        }
        let gone = |name: &String| !candidates.contains_key(name);
        for name in self.seen.keys().filter(|name| gone(name)).cloned().collect::<Vec<_>>() {
            tracing::info!(recording = %name, "a recording is gone");
            self.seen.remove(&name);
            library.remove(&name);
            self.cache.remove(&name);
        }
        for candidate in candidates.into_values() {
            self.consider(candidate, library);
        }
        Ok(())
    }

    /// Takes a recording in, where it is new or has changed, and is not just being written.
    fn consider(&mut self, candidate: Candidate, library: &Library) {
        let Candidate { name, path, kind, stamp } = candidate;
        let known = self.seen.get(&name).filter(|seen| seen.path == path);
        let same = known.is_some_and(|seen| seen.stamp == stamp);
        if same && known.is_some_and(|seen| seen.taken) && !has_lost_copy(library, &name) {
            return;
        }
        let now = Instant::now();
        let often = known.is_some_and(|seen| now - seen.at < RECORDINGS_TAPE_POLL);
        if kind == Kind::Tape && known.is_some_and(|seen| seen.taken) && often {
            return;
        }
        let settled = kind == Kind::Tape || same || stamp.is_old();
        if settled {
            let state = match kind {
                Kind::Tape => tape(&path),
                Kind::File => State::Preparing,
            };
            library.put(&name, Entry { path: path.clone(), state });
            if kind == Kind::File {
                let job = Job { name: name.clone(), path: path.clone(), stamp };
                // The queue holds as many as there may be; one that is full is tried again.
                if self.jobs.try_send(job).is_err() {
                    return;
                }
            }
        } else if known.is_none() {
            library.put(&name, Entry { path: path.clone(), state: State::Preparing });
        }
        self.seen.insert(name, Seen { path, stamp, taken: settled, at: now });
    }
}

/// Is there nothing to read any more? Copies may be removed: they are made again.
fn has_lost_copy(library: &Library, name: &str) -> bool {
    let state = library.get(name).map(|entry| entry.state);
    matches!(state, Some(State::Ready { tape, .. }) if !tape.exists())
}

/// What may be done with a tape.
fn tape(folder: &Path) -> State {
    let summary = Tape::open(folder).and_then(|tape| {
        let summary = Summary::of(&tape)?;
        Ok((summary, tape.damage().first().cloned()))
    });
    match summary {
        Ok((summary, damage)) => {
            let damage = damage.map(|damage| without_folder(&damage.to_string(), folder));
            if let Some(damage) = &damage {
                tracing::warn!(recording = %folder.display(), %damage, "it ends before that");
            }
            State::Ready { tape: Arc::new(folder.to_owned()), summary, damage }
        }
        Err(error) => State::Refused(without_folder(&error.to_string(), folder)),
    }
}

/// A complaint without the path of the folder, which is not for clients.
fn without_folder(words: &str, path: &Path) -> String {
    let Some(folder) = path.parent() else { return words.to_owned() };
    words.replace(&format!("{}/", folder.display()), "")
}
