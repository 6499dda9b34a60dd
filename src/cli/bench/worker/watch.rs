//! A thread's own time within the window.

use std::time::Duration;

use crate::cli::bench::collector::Window;
use crate::cli::bench::machine::{Share, Stopwatch};
use crate::clock::UnixNanos;

/// Runs from the start of the window to its end.
#[derive(Default)]
pub(crate) struct Watch {
    window: Option<Window>,
    running: Option<Stopwatch>,
}

impl Watch {
    pub(crate) fn open(&mut self, window: Window) {
        self.window = Some(window);
    }

    /// So long a look at the poller brought nothing: the thread would have slept.
    pub(crate) fn looked_in_vain(&mut self, time: Duration) {
        if let Some(running) = &mut self.running {
            running.idled(time);
        }
    }

    /// When it has to be looked at next, ns.
    pub(crate) fn due(&self) -> Option<UnixNanos> {
        self.window.map(|window| if self.running.is_some() { window.end } else { window.start })
    }

    /// Starts where the window does; told once when it is over.
    pub(crate) fn turn(&mut self, now: UnixNanos) -> Option<Share> {
        let window = self.window?;
        if now >= window.start && self.running.is_none() {
            self.running = Some(Stopwatch::start());
        }
        if now < window.end {
            return None;
        }
        self.window = None;
        self.running.take().map(|watch| watch.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_when_the_window_is_over() {
        let mut watch = Watch::default();
        assert!(watch.due().is_none() && watch.turn(5).is_none());
        watch.open(Window { start: 10, end: 20 });
        assert_eq!(watch.due(), Some(10));
        assert!(watch.turn(9).is_none() && watch.turn(10).is_none());
        assert_eq!(watch.due(), Some(20));
        assert!(watch.turn(19).is_none() && watch.turn(20).is_some());
        assert!(watch.turn(21).is_none() && watch.due().is_none());
    }
}
