//! What a run found, for programs; [`super::table`] and [`super::html`] show it to people.

use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::args::BenchArgs;

use super::dialogue::checks::{Books, Checks};
use super::findings::{Findings, Lagging, Second};
use super::interval::{Interval, Series, Since};
use super::machine::{Host, Share};
use super::process::Cost;
use super::task::{Population, Task};
use super::worker::Visits;
use crate::clock::SECOND;

/// Names and values of the quantiles that a report shows; the largest value stands last.
pub(crate) const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    /// The command line, as it was typed.
    pub(crate) command: String,
    pub(crate) client_machine: Host,
    pub(crate) url: String,
    pub(crate) protocol: &'static str,
    /// All connections; those that lag on purpose are among them.
    pub(crate) connections: usize,
    /// Those that are in the figures.
    pub(crate) measured: usize,
    pub(crate) threads: usize,
    pub(crate) schema: String,
    pub(crate) symbols: String,
    pub(crate) encoding: &'static str,
    pub(crate) ramp: Option<String>,
    pub(crate) warmup_s: f64,
    pub(crate) duration_s: f64,
    /// When the window began, ns since the UNIX epoch.
    pub(crate) start: u64,
    #[serde(rename = "latency_ns", serialize_with = "latencies")]
    pub(crate) total: Interval,
    #[serde(rename = "connect_ns", serialize_with = "summary")]
    pub(crate) connects: Histogram<u64>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) reads: u64,
    pub(crate) records_per_s: f64,
    pub(crate) bytes_per_s: f64,
    /// Records known to be lost, announced or not.
    pub(crate) lost: u64,
    /// Records known to have come twice.
    pub(crate) duplicated: u64,
    /// Records and batches that came out of order.
    pub(crate) reordered: u64,
    pub(crate) worst: Worst,
    pub(crate) check_sequence: bool,
    pub(crate) checks: Checks,
    /// How many connections ended before they were told to, by reason.
    pub(crate) disconnects: BTreeMap<String, u64>,
    /// Symbols that the server rejected, with its reasons.
    pub(crate) rejected: BTreeSet<String>,
    pub(crate) lagging: Option<Laggards>,
    pub(crate) churn: Option<Visitors>,
    pub(crate) server: Option<Cost>,
    /// What became of each thread's time in the window.
    pub(crate) client: Vec<Share>,
    pub(crate) client_cpu_ns_per_record: Option<f64>,
    /// The window, second by second.
    pub(crate) seconds: Vec<Second>,
}

/// The most that one connection had of it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Worst {
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) conflated: u64,
    pub(crate) gaps: u64,
}

impl Worst {
    fn of(books: &Books) -> Self {
        Self {
            lost: books.lost.worst,
            duplicated: books.duplicated.worst,
            reordered: books.reordered.worst,
            conflated: books.conflated.worst,
            gaps: books.gaps.worst,
        }
    }
}

/// What became of connections that stopped reading, or read slowly.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Laggards {
    pub(crate) stalled: usize,
    pub(crate) slow: usize,
    /// Bytes a second that the slow ones read.
    pub(crate) slow_bytes_per_s: u64,
    /// Those that were still connected after the window.
    pub(crate) stayed: u64,
    /// The others, by reason.
    pub(crate) ended: BTreeMap<String, u64>,
    pub(crate) checks: Checks,
}

impl Laggards {
    fn of(task: &Task, lagging: Lagging) -> Option<Self> {
        let Population { stalled, slow, .. } = task.population;
        let Lagging { stayed, ended, checks } = lagging;
        let slow_bytes_per_s = task.slow;
        let there = stalled + slow > 0;
        there.then_some(Self { stalled, slow, slow_bytes_per_s, stayed, ended, checks })
    }
}

/// What became of visitors.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Visitors {
    /// A second, as asked for.
    pub(crate) rate: f64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
    #[serde(rename = "connect_ns", serialize_with = "summary")]
    pub(crate) times: Histogram<u64>,
}

impl Visitors {
    fn of(rate: f64, visits: Visits) -> Option<Self> {
        let Visits { done, failed, reasons, times } = visits;
        (rate > 0.0).then_some(Self { rate, done, failed, reasons, times })
    }
}

impl Report {
    /// Puts together what was asked for and what was found.
    pub(crate) fn new(
        args: &BenchArgs,
        task: &Task,
        host: Host,
        found: Findings,
        server: Option<Cost>,
    ) -> Self {
        let seconds = args.duration.as_secs_f64();
        let Findings { total, books, .. } = found;
        let busy: f64 = found.client.iter().map(|share| share.busy).sum();
        let client_cpu = busy * seconds * SECOND as f64 / total.records as f64;
        let population = task.population;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            client_machine: host,
            url: task.target.to_string(),
            protocol: task.protocol.name(),
            connections: population.all(),
            measured: population.measured,
            threads: task.threads,
            schema: args.shape.schema.join(","),
            symbols: args.shape.symbols.to_string(),
            encoding: args.shape.encoding.name(),
            ramp: task.ramp.map(|ramp| ramp.to_string()),
            warmup_s: args.warmup.as_secs_f64(),
            duration_s: seconds,
            start: found.start,
            records: total.records,
            bytes: total.bytes,
            frames: total.frames,
            reads: total.reads,
            records_per_s: total.records as f64 / seconds,
            bytes_per_s: total.bytes as f64 / seconds,
            client_cpu_ns_per_record: (total.records > 0).then_some(client_cpu),
            total,
            connects: found.connects,
            lost: books.lost.sum,
            duplicated: books.duplicated.sum,
            reordered: books.reordered.sum,
            worst: Worst::of(&books),
            check_sequence: args.shape.check_sequence,
            checks: books.checks,
            disconnects: found.disconnects,
            rejected: found.rejected,
            lagging: Laggards::of(task, found.lagging),
            churn: Visitors::of(task.churn, found.visits),
            server,
            client: found.client,
            seconds: found.seconds,
        }
    }

    /// The largest of the threads' shares of this kind.
    pub(crate) fn most(&self, kind: fn(&Share) -> f64) -> f64 {
        self.client.iter().map(kind).fold(0.0, f64::max)
    }

    /// The stamps from which anything was measured; at least the first.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = Since> {
        let ours = self.protocol == "broadtape";
        Since::ALL.into_iter().filter(move |since| ours || *since == Since::Event)
    }
}

fn latencies<S: Serializer>(total: &Interval, serializer: S) -> Result<S::Ok, S::Error> {
    struct Shown<'a>(&'a Series);
    impl Serialize for Shown<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Series { histogram, negative, beyond } = self.0;
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("negative", negative)?;
            map.serialize_entry("beyond", beyond)?;
            entries(histogram, &mut map)?;
            map.end()
        }
    }
    let mut map = serializer.serialize_map(Some(Since::ALL.len()))?;
    for since in Since::ALL {
        map.serialize_entry(since.name(), &Shown(total.series(since)))?;
    }
    map.end()
}

fn summary<S: Serializer>(times: &Histogram<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    entries(times, &mut map)?;
    map.end()
}

fn entries<M: SerializeMap>(times: &Histogram<u64>, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("count", &times.len())?;
    if times.is_empty() {
        return Ok(());
    }
    map.serialize_entry("min", &times.min())?;
    map.serialize_entry("mean", &times.mean())?;
    QUANTILES.into_iter().try_for_each(|(name, quantile)| {
        map.serialize_entry(name, &times.value_at_quantile(quantile))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cli::bench::interval;

    fn times(value: u64) -> Histogram<u64> {
        let mut times = interval::latencies().unwrap();
        times.record(value).unwrap();
        times
    }

    /// One sample of 1 ms from `ts_event`, one of 100 µs from `ts_out`, none from `ts_send`.
    pub(crate) fn report() -> Report {
        let mut total = Interval::new().unwrap();
        let mut measure = total.begin(Some(u64::MAX), 2_000_000);
        measure.record(1_000_000, 1_900_000);
        measure.end();
        let checks = Checks { missing: 1, gap_records: 2, verified: 1, ..Checks::default() };
        let second =
            Second { records: 1, bytes: 82, p50: 1_000_000, p99: 1_000_000, max: 1_000_000 };
        Report {
            version: "0",
            command: "broadtape bench <h> & \"more\"".to_owned(),
            client_machine: Host::default(),
            url: "ws://h:1/v1/stream".to_owned(),
            protocol: "broadtape",
            connections: 3,
            measured: 2,
            threads: 1,
            schema: "trades".to_owned(),
            symbols: "all symbols".to_owned(),
            encoding: "dbn",
            ramp: None,
            warmup_s: 1.0,
            duration_s: 1.0,
            start: 0,
            total,
            connects: times(2_000_000),
            records: 1,
            bytes: 82,
            frames: 1,
            reads: 1,
            records_per_s: 1.0,
            bytes_per_s: 82.0,
            lost: checks.lost(),
            duplicated: 0,
            reordered: 0,
            worst: Worst { lost: 2, ..Worst::default() },
            check_sequence: true,
            checks,
            disconnects: BTreeMap::from([("lost: connection reset".to_owned(), 1)]),
            rejected: BTreeSet::new(),
            lagging: Some(Laggards {
                stalled: 1,
                ended: BTreeMap::from([("closed by the server with 4008".to_owned(), 1)]),
                ..Laggards::default()
            }),
            churn: Some(Visitors {
                rate: 10.0,
                done: 8,
                failed: 2,
                reasons: BTreeMap::from([("refused".to_owned(), 2)]),
                times: times(3_000_000),
            }),
            server: Some(Cost {
                cpu_ns: 200,
                cpu_share: 0.5,
                cpu_ns_per_record: Some(200.0),
                rss_per_connection: 700.0,
                rss_peak: 1 << 20,
                ..Cost::default()
            }),
            client: vec![Share { busy: 0.25, waiting: 0.0 }],
            client_cpu_ns_per_record: Some(2.5e8),
            seconds: vec![second],
        }
    }

    #[test]
    fn the_json_holds_every_series() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["latency_ns"]["ts_event"]["count"], 1);
        assert_eq!(json["latency_ns"]["ts_send"]["negative"], 1);
        assert!(json["latency_ns"]["ts_send"].get("p50").is_none());
        assert_eq!((&json["lost"], &json["checks"]["missing"]), (&3.into(), &1.into()));
        assert_eq!((&json["connect_ns"]["count"], &json["churn"]["done"]), (&1.into(), &8.into()));
        assert_eq!(json["server"]["cpu_ns_per_record"], 200.0);
        assert_eq!(
            (&json["worst"]["lost"], &json["seconds"][0]["records"]),
            (&2.into(), &1.into())
        );
    }
}
