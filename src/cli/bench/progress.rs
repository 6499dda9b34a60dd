//! How far a run is: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::interval::{Interval, Since};
use crate::cli::units::{show_count, show_nanos};

/// Plain lines of a window at most, however long it is.
const LINES: usize = 10;

/// Least time between two plain lines of connects.
const LINE_PAUSE: Duration = Duration::from_secs(1);

/// Tells people how far the run is.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    seconds: usize,
    /// When a plain line was last said, or a part begun.
    said: Cell<Instant>,
}

impl Progress {
    /// For a window of this many seconds.
    pub(crate) fn new(seconds: usize) -> Self {
        let style = ProgressStyle::with_template("{prefix:>11} {bar:32} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = || ProgressBar::no_length().with_style(style);
        Self { bar: stderr().is_terminal().then(bar), seconds, said: Cell::new(Instant::now()) }
    }

    /// A part of the run begins that ends when `total` are done.
    pub(crate) fn begin(&self, what: &'static str, total: usize) {
        self.said.set(Instant::now());
        let Some(bar) = &self.bar else { return };
        bar.set_prefix(what);
        bar.set_message("");
        bar.set_length(total as u64);
        bar.set_position(0);
    }

    /// So many of a part that is counted are done; a plain line of it a second at most.
    pub(crate) fn step(&self, what: &str, done: usize, of: usize) {
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None if self.said.get().elapsed() >= LINE_PAUSE => {
                self.said.set(Instant::now());
                let (done, of) = (show_count(done as u64), show_count(of as u64));
                self.say(&format!("{what} {done} of {of}"));
            }
            None => {}
        }
    }

    /// A part of the run is over.
    pub(crate) fn end(&self, what: &str, took: Duration) {
        self.say(&format!("{what} in {:.2} s", took.as_secs_f64()));
    }

    /// One second of the window was measured.
    pub(crate) fn measured(&self, interval: &Interval) {
        let histogram = &interval.series(Since::Event).histogram;
        let p99 = show_nanos(histogram.value_at_quantile(0.99));
        let text = format!("{} records, p99 {p99}", show_count(interval.records));
        let second = interval.index + 1;
        match &self.bar {
            Some(bar) => {
                bar.set_position(second as u64);
                bar.set_message(text);
            }
            None if second.is_multiple_of(self.seconds.div_ceil(LINES)) => {
                self.say(&format!("second {second} of {}: {text}", self.seconds));
            }
            None => {}
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // Progress that nobody can see is no reason to fail.
            None => drop(writeln!(stderr(), "{line}")),
        }
    }
}

/// However a run ends, its bar goes before anything else is said.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
