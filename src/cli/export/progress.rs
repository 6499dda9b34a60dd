//! How far an export is, on a terminal; nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// Records between two looks.
const EVERY: u64 = 1 << 14;

/// A bar of the bytes that were read.
pub(super) struct Progress {
    bar: ProgressBar,
    records: u64,
}

impl Progress {
    pub(super) fn new(bytes: u64) -> Self {
        let bar = ProgressBar::new(bytes);
        let form = "{bar:40} {bytes}/{total_bytes} {msg} {eta}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        Self { bar, records: 0 }
    }

    /// A record more was read; `read` tells the bytes.
    #[inline]
    pub(super) fn note(&mut self, read: impl FnOnce() -> u64) {
        self.records += 1;
        if self.records.is_multiple_of(EVERY) {
            self.bar.set_position(read());
            self.bar.set_message(format!("{} records", self.records));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
