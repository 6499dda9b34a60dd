//! Plays recordings once, as fast as they are taken, with a bar on a terminal.

use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};

use crate::feed::replay::{Replay, ReplayOptions};
use crate::feed::source::{Recording, Tally};
use crate::feed::{Batch, Feed, Next};
use crate::wire::instrument::Instrument;

/// Bytes of a batch.
const BATCH: usize = 1 << 20;

/// What is known once recordings were played.
pub(super) struct Played {
    /// Their dataset.
    pub(super) dataset: String,
    /// Their instruments, in the order in which they were named.
    pub(super) instruments: Vec<Instrument>,
    /// What became of the messages of each.
    pub(super) tallies: Vec<(String, Tally)>,
    /// System and error messages, which are no part of a recording.
    pub(super) skipped: u64,
}

/// Plays them.
///
/// # Errors
/// What is wrong with them, or what `each` fails with.
pub(super) fn play(
    recordings: &[Recording],
    each: &mut dyn FnMut(&Batch) -> Result<(), String>,
) -> Result<Played, String> {
    let files = recordings.to_vec();
    let options = ReplayOptions { files, ..ReplayOptions::default() };
    let mut replay = Replay::open(options).map_err(|error| error.to_string())?;
    let mut instruments = replay.instruments();
    let progress = replay.progress();
    let bar = bar(progress.total.load(Ordering::Relaxed));
    let mut batch = Batch::new(BATCH);
    let played = loop {
        let next = replay.poll(1, &mut batch);
        instruments.extend(batch.take_introduced());
        if let Err(reason) = each(&batch) {
            break Err(reason);
        }
        batch.clear();
        bar.set_position(progress.bytes.load(Ordering::Relaxed));
        match next {
            Ok(Next::Ended) => break Ok(()),
            Ok(Next::Ready | Next::At(_)) => {}
            Err(error) => break Err(error.reason),
        }
    };
    bar.finish_and_clear();
    played.map(|()| Played {
        dataset: replay.dataset(),
        instruments,
        tallies: replay.tallies().map(|(name, tally)| (name, tally.clone())).collect(),
        skipped: progress.skipped.load(Ordering::Relaxed),
    })
}

/// A bar on a terminal, nothing elsewhere.
fn bar(bytes: u64) -> ProgressBar {
    let template = "{bar:40} {bytes}/{total_bytes} {eta}";
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}
