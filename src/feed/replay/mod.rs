//! replay: recordings as a feed, at their own pace, a multiple of it, or as fast as they are taken.
//!
//! Order and pace follow the index time of records (`ts_recv`, else `ts_event`, else their order in
//! the file); several files are merged by it. Records arrive as the file has them, byte for byte as
//! DBN v3, but for an instrument id that another instrument had first. System and error messages
//! are skipped; mapping records name instruments.

mod identity;
mod merge;
pub(crate) mod names;
mod options;
mod pace;
mod records;
pub(crate) mod scan;
mod symbols;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use options::{ReplayError, ReplayOptions, Speed};
pub use records::Records;

use self::identity::{Identities, announce};
use self::merge::{Merge, time_of};
use self::names::Names;
use self::pace::Pacer;
use super::source::{How, Recording, Tally};
use super::{Batch, Feed, FeedError, Next, Pace};
use crate::clock::UnixNanos;
use crate::limits::INSTRUMENTS_MAX;
use crate::wire::file::FileError;
use crate::wire::instrument::Instrument;
use crate::wire::record::{rtype, rtype_of};

/// Between two passes of a loop, so that one whose records all have the same time has a pace too.
const LOOP_PAUSE_NS: u64 = 1_000_000;
/// Records outside of the time that is wanted that one poll passes over.
const PASSED_MAX: u32 = 16 << 10;

/// How far a replay is, for a progress bar: written once a poll.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records played, over all passes.
    pub records: AtomicU64,
    /// System and error messages skipped, over all passes.
    pub skipped: AtomicU64,
    /// Index time of the last record played, ns.
    pub time: AtomicU64,
    /// Bytes of the files that were read in this pass.
    pub bytes: AtomicU64,
    /// Bytes of all files.
    pub total: AtomicU64,
    /// Index times, ns, between which its records lie, where that is known.
    pub span: Option<(UnixNanos, UnixNanos)>,
}

/// Recordings that are played.
pub struct Replay {
    name: String,
    merge: Merge,
    names: Vec<Names>,
    ids: Identities,
    known: Vec<Instrument>,
    pacer: Pacer,
    /// When the next record is due, once that has been asked.
    due: Option<UnixNanos>,
    looped: bool,
    /// Index times of the first record that is wanted, and of the first after the last.
    window: (UnixNanos, UnixNanos),
    /// Index time of the last record that was played.
    newest: UnixNanos,
    played: u64,
    skipped: u64,
    /// `played` when this pass began.
    before_pass: u64,
    progress: Arc<Progress>,
}

impl Replay {
    /// Opens the files; looks through those whose metadata doesn't tell their instruments.
    ///
    /// # Errors
    /// [`ReplayError`]: wrong options, or a file that is no DBN. A file that is damaged further on
    /// fails when it is played.
    pub fn open(options: ReplayOptions) -> Result<Self, ReplayError> {
        let parts = options.speed.parts()?;
        let gap = options.max_gap.map_or(u64::MAX, |gap| gap.as_nanos() as u64);
        if options.files.is_empty() {
            return Err(ReplayError::NoFiles);
        }
        let name = name_of(&options.files);
        let files = within(options.files, options.from, options.to);
        let merge = Merge::open(files)?;
        let mut names = Vec::new();
        for (source, recording) in merge.sources().iter().zip(merge.recordings()) {
            let missing = Names::are_missing(&**source);
            let found = if missing { scan::scan(recording)? } else { scan::Found::default() };
            names.push(Names::new(&**source, found));
        }
        let mut ids = Identities::default();
        let known = announce(&mut ids, names.iter().flat_map(Names::all).collect());
        if known.len() > INSTRUMENTS_MAX {
            return Err(ReplayError::TooMany { count: known.len(), max: INSTRUMENTS_MAX });
        }
        let total = AtomicU64::new(merge.extent().size);
        let window = (options.from.unwrap_or(0), options.to.unwrap_or(u64::MAX));
        let span = span_of(&merge).map(|(from, to)| (from.max(window.0), to.min(window.1)));
        let progress = Arc::new(Progress { total, span, ..Progress::default() });
        Ok(Self {
            name,
            merge,
            names,
            ids,
            known,
            pacer: Pacer::new(parts, gap),
            due: None,
            looped: options.looped,
            window,
            newest: 0,
            played: 0,
            skipped: 0,
            before_pass: 0,
            progress,
        })
    }

    /// How far it is.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// What became of the messages of each recording that holds others than records.
    pub fn tallies(&self) -> impl Iterator<Item = (String, &Tally)> {
        let each = self.merge.recordings().iter().zip(self.merge.sources());
        each.filter_map(|(recording, source)| Some((recording.name(), source.tally()?)))
    }

    /// The dataset of its recordings; `MIXED` where they have several.
    pub fn dataset(&self) -> String {
        let each = self.merge.recordings().iter().zip(self.merge.sources());
        let mut names = each.map(|(recording, source)| match source.metadata() {
            Some(metadata) => metadata.dataset.as_str(),
            None => recording.format.dataset(),
        });
        let first = names.next().unwrap_or_default();
        if names.all(|name| name == first) { first } else { "MIXED" }.to_owned()
    }

    /// Plays what is due as far as there is room.
    fn play(&mut self, now: UnixNanos, out: &mut Batch) -> Result<Next, FileError> {
        let mut passed = 0;
        loop {
            let Some(file) = self.merge.head()? else {
                if self.begin_again()? {
                    continue;
                }
                return Ok(Next::Ended);
            };
            let time = time_of(self.merge.source(file).record());
            if self.is_outside(file, time) {
                self.merge.advance();
                passed += 1;
                // The publisher has others to look after.
                if passed == PASSED_MAX {
                    return Ok(Next::Ready);
                }
                continue;
            }
            let due = *self.due.get_or_insert_with(|| self.pacer.due(time));
            if due > now {
                return Ok(Next::At(due));
            }
            if !self.play_one(file, time.unwrap_or_default(), now, out) {
                return Ok(Next::Ready);
            }
            self.due = None;
            self.merge.advance();
        }
    }

    /// Is the record that a file is at not of the time that is wanted? Mappings always are.
    #[inline]
    fn is_outside(&self, file: usize, time: Option<UnixNanos>) -> bool {
        let (from, to) = self.window;
        time.is_some_and(|time| time < from || time >= to)
            && rtype_of(self.merge.source(file).record()) != rtype::SYMBOL_MAPPING
    }

    /// Plays the record that a file is at; false where there is no room for it.
    #[inline]
    fn play_one(&mut self, file: usize, time: UnixNanos, now: UnixNanos, out: &mut Batch) -> bool {
        let record = self.merge.source(file).record();
        match rtype_of(record) {
            rtype::SYSTEM | rtype::ERROR => {
                self.skipped += 1;
                return true;
            }
            rtype::SYMBOL_MAPPING => {
                self.names[file].learn(record);
                return true;
            }
            _ => {}
        }
        let length = record.len();
        let routed = self.names[file].route(record, time);
        let id = routed.or_else(|| self.introduce(file, time, now, out));
        // Its id is changed in place: only once it is sure to go.
        let Some(id) = id.filter(|_| out.has_room(length)) else { return false };
        let source = self.merge.source_mut(file);
        source.set_instrument_id(id);
        out.push(source.record());
        self.played += 1;
        self.newest = time;
        true
    }

    /// Introduces the instrument of the record that a file is at, where it was not; its id, or none
    /// where there is no room.
    #[cold]
    fn introduce(
        &mut self,
        file: usize,
        time: UnixNanos,
        now: UnixNanos,
        out: &mut Batch,
    ) -> Option<u32> {
        let record = self.merge.source(file).record();
        let (named, until) = self.names[file].name(record, time);
        let id = match self.ids.get(&named) {
            Some(id) => id,
            None => {
                let instrument = self.ids.propose(&named);
                let id = instrument.id;
                if !out.introduce(instrument, now) {
                    return None;
                }
                self.ids.confirm(&named, id);
                id
            }
        };
        self.names[file].set_route(record, id, until);
        Some(id)
    }

    /// Starts over; false where that is not asked for, or nothing was played.
    fn begin_again(&mut self) -> Result<bool, FileError> {
        if !self.looped || self.played == self.before_pass {
            return Ok(false);
        }
        self.before_pass = self.played;
        self.merge.rewind()?;
        self.names.iter_mut().for_each(Names::restart);
        self.pacer.restart(LOOP_PAUSE_NS);
        self.due = None;
        Ok(true)
    }

    fn report(&self) {
        self.progress.records.store(self.played, Ordering::Relaxed);
        self.progress.time.store(self.newest, Ordering::Relaxed);
        self.progress.skipped.store(self.skipped, Ordering::Relaxed);
        self.progress.bytes.store(self.merge.extent().read, Ordering::Relaxed);
    }
}

impl Feed for Replay {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn pace(&self) -> Pace {
        if self.pacer.is_max() { Pace::Elastic } else { Pace::Timed }
    }

    fn is_live(&self) -> bool {
        false
    }

    fn instruments(&mut self) -> Vec<Instrument> {
        std::mem::take(&mut self.known)
    }

    fn poll(&mut self, now: UnixNanos, out: &mut Batch) -> Result<Next, FeedError> {
        self.pacer.begin(now);
        let played = self.play(now, out);
        self.report();
        played.map_err(|error| {
            self.looped = false;
            let reason = format!("{error}; {} records were played before it", self.played);
            FeedError { source_name: self.name(), reason }
        })
    }
}

/// Index times between which the records of all recordings lie, where that is known of each.
fn span_of(merge: &Merge) -> Option<(UnixNanos, UnixNanos)> {
    let spans: Option<Vec<_>> = merge.sources().iter().map(|source| source.span()).collect();
    let spans = spans?;
    let start = spans.iter().map(|(start, _)| *start).min()?;
    Some((start, spans.iter().map(|(_, end)| *end).max()?))
}

/// Recordings of which only a part is wanted: a tape does not read the rest.
fn within(files: Vec<Recording>, from: Option<UnixNanos>, to: Option<UnixNanos>) -> Vec<Recording> {
    let part = |file: Recording| {
        let how = How { from, to, ..(*file.how).clone() };
        Recording { how: Arc::new(how), ..file }
    };
    files.into_iter().map(part).collect()
}

/// `replay A.dbn`, `replay A.dbn and 2 more`
fn name_of(files: &[Recording]) -> String {
    let first = files.first().and_then(|file| file.paths.first()?.file_name()).unwrap_or_default();
    let first = Path::new(first).display();
    match files.len() {
        0 | 1 => format!("replay {first}"),
        more => format!("replay {first} and {} more", more - 1),
    }
}

#[cfg(test)]
mod tests;
