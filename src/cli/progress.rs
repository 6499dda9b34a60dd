//! How far a recording that is played is: a bar on a terminal, a line of the log now and then
//! elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::units::show_count;
use crate::feed::replay::Progress;
use crate::wire::json::time_text;

/// Between two looks where there is a bar, and where there is a log.
const LOOK: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Steps of a bar, ns.
const MILLISECOND: u64 = 1_000_000;

/// A thread that shows how far a recording is, until this is dropped.
pub(super) struct Shown {
    /// Dropped, it ends the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shown {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn start(progress: Arc<Progress>) -> io::Result<Self> {
        let (end, ended) = channel::<()>();
        let terminal = io::stderr().is_terminal();
        let every = if terminal { LOOK.0 } else { LOOK.1 };
        let show = move || {
            let mut look = Look { progress, bar: bar(terminal), at: Instant::now(), records: 0 };
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
                look.show(terminal);
            }
            look.bar.finish_and_clear();
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(show)?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It shows, and no more: how it ended is of no use.
            let _ = thread.join();
        }
    }
}

fn bar(terminal: bool) -> ProgressBar {
    if !terminal {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What was seen last.
struct Look {
    progress: Arc<Progress>,
    bar: ProgressBar,
    at: Instant,
    records: u64,
}

impl Look {
    fn show(&mut self, terminal: bool) {
        let Progress { records, time, .. } = &*self.progress;
        let records = records.load(Relaxed);
        let (position, length) = self.position();
        let (now, new) = (Instant::now(), records - self.records);
        let rate = new as f64 / (now - self.at).as_secs_f64();
        (self.at, self.records) = (now, records);
        let (at, rate) = (time_text(time.load(Relaxed)), show_count(rate as u64));
        if terminal {
            self.bar.set_length(length);
            self.bar.set_position(position);
            self.bar.set_message(format!("{at}, {rate} records/s"));
        } else if new > 0 {
            let percent = position * 100 / length.max(1);
            tracing::info!("replay: {percent} %, at {at}, {rate} records/s");
        }
    }

    /// How far it is, and of how much: of its time, where that is known, else of its bytes, which
    /// are read ahead.
    fn position(&self) -> (u64, u64) {
        let Progress { bytes, total, time, span, .. } = &*self.progress;
        match span.filter(|(start, end)| start < end) {
            Some((start, end)) => {
                let passed = time.load(Relaxed).clamp(start, end) - start;
                (passed / MILLISECOND, (end - start) / MILLISECOND)
            }
            None => (bytes.load(Relaxed), total.load(Relaxed)),
        }
    }
}
