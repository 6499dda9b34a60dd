//! What was measured in one second, or in all of them: latencies, records, bytes.

use std::ops::AddAssign;

use hdrhistogram::{CreationError, Histogram};

use crate::limits::LATENCY_MAX;

/// Significant decimal digits that a histogram keeps of a value.
const DIGITS: u8 = 3;
const MAX: u64 = LATENCY_MAX.as_nanos() as u64;

/// From which stamp to the receipt a latency counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// It happened: with the metronome, it was due.
    Event,
    /// It was committed to the ring.
    Out,
    /// Its batch was framed.
    Send,
}

impl Since {
    pub(crate) const ALL: [Self; 3] = [Self::Event, Self::Out, Self::Send];

    /// The stamp's name on the wire.
    pub(crate) fn name(self) -> &'static str {
        ["ts_event", "ts_out", "ts_send"][self as usize]
    }
}

/// An empty histogram of times up to [`LATENCY_MAX`], ns.
///
/// # Errors
/// Never with the bounds that are compiled in; they are the histogram's to check.
pub(crate) fn latencies() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_bounds(1, MAX, DIGITS)
}

/// Latencies from one stamp, ns.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) histogram: Histogram<u64>,
    /// Receipts before the stamp: the clocks disagree.
    pub(crate) negative: u64,
    /// Above [`LATENCY_MAX`]: old records replayed, or the time of a bar.
    pub(crate) beyond: u64,
}

impl Series {
    fn new() -> Result<Self, CreationError> {
        Ok(Self { histogram: latencies()?, negative: 0, beyond: 0 })
    }

    /// `n` records of one stamp, received at `now`, both ns.
    #[inline]
    fn record(&mut self, stamp: u64, now: u64, n: u64) {
        match now.checked_sub(stamp) {
            None => self.negative += n,
            Some(latency) if latency > MAX => self.beyond += n,
            Some(latency) => self.histogram.saturating_record_n(latency.max(1), n),
        }
    }

    fn clear(&mut self) {
        self.histogram.reset();
        (self.negative, self.beyond) = (0, 0);
    }
}

impl AddAssign<&Self> for Series {
    fn add_assign(&mut self, other: &Self) {
        // Same bounds, so that nothing of it can be out of them.
        let _ = self.histogram.add(&other.histogram);
        self.negative += other.negative;
        self.beyond += other.beyond;
    }
}

/// Records of one stamp that came one after the other: recorded at once.
#[derive(Clone, Copy, Default)]
struct Run {
    stamp: u64,
    n: u64,
}

/// Everything measured in some time.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    /// Which second of the window it is.
    pub(crate) index: usize,
    series: [Series; 3],
    pub(crate) records: u64,
    /// Bytes read from sockets, frame heads included.
    pub(crate) bytes: u64,
    /// Data frames.
    pub(crate) frames: u64,
    /// Socket reads.
    pub(crate) reads: u64,
}

impl Interval {
    /// An empty one, the first.
    ///
    /// # Errors
    /// As [`latencies`].
    pub(crate) fn new() -> Result<Self, CreationError> {
        let series = [Series::new()?, Series::new()?, Series::new()?];
        Ok(Self { index: 0, series, records: 0, bytes: 0, frames: 0, reads: 0 })
    }

    /// Latencies from a stamp.
    pub(crate) fn series(&self, since: Since) -> &Series {
        &self.series[since as usize]
    }

    /// Hands out what it holds, and goes on empty as the next one.
    pub(crate) fn roll(&mut self) -> Self {
        let full = self.clone();
        self.series.iter_mut().for_each(Series::clear);
        (self.records, self.bytes, self.frames, self.reads) = (0, 0, 0, 0);
        self.index += 1;
        full
    }

    /// Starts measuring what was received at `now`; `ts_send` where its batch says that.
    #[inline]
    pub(crate) fn begin(&mut self, ts_send: Option<u64>, now: u64) -> Measure<'_> {
        Measure { interval: self, runs: [Run::default(); 2], ts_send, now, records: 0, frames: 0 }
    }
}

impl AddAssign<&Self> for Interval {
    fn add_assign(&mut self, other: &Self) {
        self.series.iter_mut().zip(&other.series).for_each(|(a, b)| *a += b);
        self.records += other.records;
        self.bytes += other.bytes;
        self.frames += other.frames;
        self.reads += other.reads;
    }
}

/// Measures frames that one read brought.
pub(crate) struct Measure<'a> {
    interval: &'a mut Interval,
    runs: [Run; 2],
    ts_send: Option<u64>,
    now: u64,
    records: u64,
    frames: u64,
}

impl Measure<'_> {
    /// A data frame begins.
    #[inline]
    pub(crate) fn frame(&mut self) {
        self.frames += 1;
    }

    /// One record's stamps, ns.
    #[inline]
    pub(crate) fn record(&mut self, ts_event: u64, ts_out: u64) {
        self.event(ts_event);
        self.stamp(Since::Out, ts_out);
    }

    /// A record that has no stamp but that of its event, ns.
    #[inline]
    pub(crate) fn event(&mut self, ts_event: u64) {
        self.records += 1;
        self.stamp(Since::Event, ts_event);
    }

    #[inline]
    fn stamp(&mut self, since: Since, stamp: u64) {
        let run = &mut self.runs[since as usize];
        if run.stamp == stamp {
            run.n += 1;
            return;
        }
        let before = std::mem::replace(run, Run { stamp, n: 1 });
        self.flush(since, before);
    }

    #[inline]
    fn flush(&mut self, since: Since, run: Run) {
        if run.n > 0 {
            self.interval.series[since as usize].record(run.stamp, self.now, run.n);
        }
    }

    /// There are no more records.
    #[inline]
    pub(crate) fn end(mut self) {
        let [event, out] = self.runs;
        self.flush(Since::Event, event);
        self.flush(Since::Out, out);
        if let Some(stamp) = self.ts_send {
            self.flush(Since::Send, Run { stamp, n: self.records });
        }
        self.interval.records += self.records;
        self.interval.frames += self.frames;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_measured_from_each_of_its_stamps() {
        let mut interval = Interval::new().unwrap();
        let mut measure = interval.begin(Some(900), 1_000);
        measure.frame();
        for ts_event in [100, 100, 200, 100] {
            measure.record(ts_event, 500);
        }
        measure.end();
        let of = |since| &interval.series(since).histogram;
        assert_eq!((of(Since::Event).len(), of(Since::Event).count_at(900)), (4, 3));
        assert_eq!((of(Since::Out).count_at(500), of(Since::Send).count_at(100)), (4, 4));
        assert_eq!((interval.records, interval.frames), (4, 1));
    }

    #[test]
    fn what_is_no_latency_is_counted_apart() {
        let mut interval = Interval::new().unwrap();
        let mut measure = interval.begin(Some(5), MAX + 10);
        measure.record(MAX + 11, 9);
        measure.record(10, 10);
        measure.end();
        let (event, out) = (interval.series(Since::Event), interval.series(Since::Out));
        assert_eq!((event.negative, event.beyond, event.histogram.len()), (1, 0, 1));
        assert_eq!((out.negative, out.beyond, out.histogram.len()), (0, 1, 1));
    }

    #[test]
    fn rolling_hands_everything_out_once() {
        let mut interval = Interval::new().unwrap();
        let mut total = Interval::new().unwrap();
        for _ in 0..2 {
            let mut measure = interval.begin(None, 10);
            measure.record(1, 1);
            measure.end();
            total += &interval.roll();
        }
        assert_eq!((total.records, total.series(Since::Event).histogram.len()), (2, 2));
        assert_eq!((interval.index, interval.records), (2, 0));
        assert_eq!(interval.series(Since::Event).histogram.len(), 0);
    }
}
