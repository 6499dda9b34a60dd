//! Latency by stage: one HDR histogram each, nanoseconds, merged from shards on demand.
//!
//! Two significant digits (a value is at most 1 % off), 1 ns to a minute: 30 KiB a stage, allocated
//! when it is built and never again. Nothing is sampled: a flush records all its records at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::clock::UnixNanos;
use crate::limits::LATENCY_MAX;

/// Significant decimal digits that a histogram keeps of a value.
const DIGITS: u8 = 2;
/// The largest difference that is recorded, ns.
const MAX: u64 = LATENCY_MAX.as_nanos() as u64;

/// A part of the way of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From where it happened (`ts_event`) to its feed (`ts_recv`).
    SourceToFeed,
    /// From the feed to the commit into the ring (`ts_out`).
    FeedToRing,
    /// From the commit to the shard that framed it (`ts_send`).
    RingToShard,
    /// From the framing to the kernel's having taken it.
    ShardToKernel,
}

impl Stage {
    /// Every stage, in the order of the data.
    pub const ALL: [Self; 4] =
        [Self::SourceToFeed, Self::FeedToRing, Self::RingToShard, Self::ShardToKernel];

    /// Its name in pages and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceToFeed => "source_to_feed",
            Self::FeedToRing => "feed_to_ring",
            Self::RingToShard => "ring_to_shard",
            Self::ShardToKernel => "shard_to_kernel",
        }
    }

    /// Is it measured by the publisher (else by each shard)?
    pub const fn is_of_feed(self) -> bool {
        matches!(self, Self::SourceToFeed | Self::FeedToRing)
    }
}

/// What one stage took, all in ns but for the counts. Quantiles are the upper end of what the
/// histogram can tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records measured.
    pub count: u64,
    /// Half of them took at most this.
    pub p50: u64,
    /// 90 % took at most this.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// 99.99 %.
    pub p9999: u64,
    /// The longest.
    pub max: u64,
    /// All of them together, exact.
    pub sum: u128,
    /// Records whose difference was negative or above [`LATENCY_MAX`]: counted here only.
    pub out_of_range: u64,
}

#[derive(Clone, Debug)]
struct Recorded {
    histogram: Histogram<u64>,
    sum: u128,
    out_of_range: u64,
}

/// The latencies of one thread, or of several merged.
#[derive(Clone, Debug)]
pub struct Latency {
    stages: [Recorded; Stage::ALL.len()],
}

impl Default for Latency {
    fn default() -> Self {
        Self { stages: std::array::from_fn(|_| Recorded::new()) }
    }
}

impl Latency {
    /// Records that `n` records passed `stage` between `from` and `to`.
    #[inline]
    pub fn record(&mut self, stage: Stage, from: UnixNanos, to: UnixNanos, n: u64) {
        let recorded = &mut self.stages[stage as usize];
        match to.checked_sub(from) {
            Some(took) if took <= MAX => recorded.add(took, n),
            _ => recorded.out_of_range += n,
        }
    }

    /// Records that records with these stamps passed `stage` at `to`: one entry for each run of
    /// equal stamps.
    #[inline]
    pub fn record_runs(
        &mut self,
        stage: Stage,
        from: impl Iterator<Item = UnixNanos>,
        to: UnixNanos,
    ) {
        let (mut run_of, mut run) = (0, 0);
        for stamp in from {
            if stamp != run_of && run > 0 {
                self.record(stage, run_of, to, run);
                run = 0;
            }
            (run_of, run) = (stamp, run + 1);
        }
        if run > 0 {
            self.record(stage, run_of, to, run);
        }
    }

    /// Adds what another thread measured.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.stages.iter_mut().zip(&other.stages) {
            mine.merge(theirs);
        }
    }

    /// What a stage took.
    pub fn summary(&self, stage: Stage) -> Summary {
        let Recorded { histogram, sum, out_of_range } = &self.stages[stage as usize];
        let at = |quantile| histogram.value_at_quantile(quantile);
        Summary {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
            sum: *sum,
            out_of_range: *out_of_range,
        }
    }

    /// Records of a stage that took at most `bound` ns, to the histogram's precision.
    pub fn count_up_to(&self, stage: Stage, bound: u64) -> u64 {
        self.stages[stage as usize].histogram.count_between(0, bound)
    }

    /// A stage's histogram as other HdrHistogram implementations read it: V2, compressed, base64
    /// (`HISTFAAA…`). None where a count exceeds what the format holds (2^63).
    pub fn encode(&self, stage: Stage) -> Option<String> {
        let mut bytes = Vec::new();
        let histogram = &self.stages[stage as usize].histogram;
        V2DeflateSerializer::new().serialize(histogram, &mut bytes).ok()?;
        Some(STANDARD.encode(bytes))
    }
}

impl Recorded {
    #[expect(clippy::expect_used, reason = "the bounds are constants, and every test builds one")]
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX, DIGITS).expect("1 ns to a minute");
        Self { histogram, sum: 0, out_of_range: 0 }
    }

    #[inline]
    fn add(&mut self, took: u64, n: u64) {
        if n > 0 {
            self.histogram.saturating_record_n(took, n);
            self.sum += u128::from(took) * u128::from(n);
        }
    }

    #[expect(clippy::expect_used, reason = "both have the same constant bounds")]
    fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("the same bounds");
        self.sum += other.sum;
        self.out_of_range += other.out_of_range;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;

    #[test]
    fn a_summary_is_within_one_percent() {
        let mut latency = Latency::default();
        for micros in 1..=10_000 {
            latency.record(Stage::RingToShard, 5, 5 + micros * 1000, 1);
        }
        let summary = latency.summary(Stage::RingToShard);
        assert_eq!((summary.count, summary.sum), (10_000, 50_005_000_000));
        for (value, exact) in
            [(summary.p50, 5e6), (summary.p90, 9e6), (summary.p99, 9.9e6), (summary.max, 1e7)]
        {
            assert!((value as f64 / exact - 1.0).abs() < 0.01, "{value} is not near {exact}");
        }
        assert_eq!(latency.summary(Stage::FeedToRing), Summary::default());
    }

    #[test]
    fn what_no_clock_can_have_measured_is_counted_apart() {
        let mut latency = Latency::default();
        latency.record(Stage::SourceToFeed, 10, 9, 2);
        latency.record(Stage::SourceToFeed, 0, MAX + 1, 3);
        latency.record(Stage::SourceToFeed, 0, MAX, 1);
        latency.record(Stage::SourceToFeed, 7, 7, 1);
        latency.record(Stage::SourceToFeed, 0, 1_000, 0);
        let summary = latency.summary(Stage::SourceToFeed);
        assert_eq!((summary.out_of_range, summary.count, summary.sum), (5, 2, u128::from(MAX)));
    }

    #[test]
    fn merging_adds_everything() {
        let (mut one, mut two) = (Latency::default(), Latency::default());
        one.record(Stage::ShardToKernel, 0, 100, 3);
        two.record(Stage::ShardToKernel, 0, 1_000_000, 1);
        two.record(Stage::ShardToKernel, 1, 0, 1);
        one.merge(&two);
        let summary = one.summary(Stage::ShardToKernel);
        assert_eq!((summary.count, summary.sum, summary.out_of_range), (4, 1_000_300, 1));
        assert_eq!(one.count_up_to(Stage::ShardToKernel, 1_000), 3);
        assert_eq!(one.count_up_to(Stage::ShardToKernel, MAX), 4);
    }

    #[test]
    fn the_log_is_what_hdrhistogram_reads() {
        let mut latency = Latency::default();
        latency.record(Stage::FeedToRing, 0, 12_345, 6);
        let text = latency.encode(Stage::FeedToRing).unwrap();
        assert!(text.starts_with("HISTFAAA"), "{text}");
        let bytes = STANDARD.decode(text).unwrap();
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(read.count_at(12_345), 6);
    }
}
