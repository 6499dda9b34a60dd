//! What a run found, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::interval::{Interval, Series, Since};
use super::ledger::Checks;
use super::machine::Share;
use crate::cli::units::{show_bytes_per_s, show_count, show_nanos};

/// A thread that runs for more than this part of the time is itself what is measured.
const BUSY: f64 = 0.8;
/// A thread that waits for a core for more than this part of the time sees records late.
const WAITING: f64 = 0.1;
/// Rejected symbols that the table names.
const NAMED: usize = 5;

/// Names and values of the quantiles that a report shows; the largest value stands last.
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) url: String,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) schema: String,
    pub(crate) symbols: String,
    pub(crate) encoding: &'static str,
    pub(crate) warmup_s: f64,
    pub(crate) duration_s: f64,
    /// When the window began, ns since the UNIX epoch.
    pub(crate) start: u64,
    #[serde(rename = "latency_ns", serialize_with = "latencies")]
    pub(crate) total: Interval,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) reads: u64,
    pub(crate) records_per_s: f64,
    pub(crate) bytes_per_s: f64,
    /// Records known to be lost, announced or not.
    pub(crate) lost: u64,
    pub(crate) check_sequence: bool,
    pub(crate) checks: Checks,
    /// How many connections ended before they were told to, by reason.
    pub(crate) disconnects: BTreeMap<String, u64>,
    /// Symbols that the server rejected, with its reasons.
    pub(crate) rejected: BTreeSet<String>,
    /// What became of each thread's time in the window.
    pub(crate) client: Vec<Share>,
}

impl Report {
    /// The largest of the threads' shares of this kind.
    pub(crate) fn most(&self, kind: fn(&Share) -> f64) -> f64 {
        self.client.iter().map(kind).fold(0.0, f64::max)
    }
}

fn latencies<S: Serializer>(total: &Interval, serializer: S) -> Result<S::Ok, S::Error> {
    struct Shown<'a>(&'a Series);
    impl Serialize for Shown<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Series { histogram, negative, beyond } = self.0;
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("count", &histogram.len())?;
            map.serialize_entry("negative", negative)?;
            map.serialize_entry("beyond", beyond)?;
            if !histogram.is_empty() {
                map.serialize_entry("min", &histogram.min())?;
                map.serialize_entry("mean", &histogram.mean())?;
                for (name, quantile) in QUANTILES {
                    map.serialize_entry(name, &histogram.value_at_quantile(quantile))?;
                }
            }
            map.end()
        }
    }
    let mut map = serializer.serialize_map(Some(Since::ALL.len()))?;
    for since in Since::ALL {
        map.serialize_entry(since.name(), &Shown(total.series(since)))?;
    }
    map.end()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        writeln!(
            f,
            "{} connections, {} client threads, {} of {}, {}; {} s after {} s of warm-up\n",
            show_count(self.connections as u64),
            self.threads,
            self.symbols,
            self.schema,
            self.encoding,
            self.duration_s,
            self.warmup_s
        )?;
        self.latency_table(f)?;
        self.received(f)?;
        self.checked(f)?;
        self.connected(f)?;
        self.client(f)
    }
}

impl Report {
    fn latency_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13}", "received after")?;
        QUANTILES.iter().try_for_each(|(name, _)| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        for since in Since::ALL {
            let Series { histogram, negative, beyond } = self.total.series(since);
            write!(f, "  {:<12}", since.name())?;
            for (_, quantile) in QUANTILES {
                let value = histogram.value_at_quantile(quantile);
                let shown = if histogram.is_empty() { "–".to_owned() } else { show_nanos(value) };
                write!(f, "{shown:>10}")?;
            }
            if negative + beyond > 0 {
                write!(f, "   ({} before the stamp, ", show_count(*negative))?;
                write!(f, "{} over a minute after it: left out)", show_count(*beyond))?;
            }
            writeln!(f)?;
        }
        writeln!(f)
    }

    fn received(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = |n: u64| self.records as f64 / n.max(1) as f64;
        line(f, "received", |out| {
            write!(out, "{} records, ", show_count(self.records))?;
            write!(out, "{}/s, ", show_count(self.records_per_s as u64))?;
            write!(out, "{}", show_bytes_per_s(self.bytes_per_s))
        })?;
        line(f, "frames", |out| {
            write!(out, "{}, {:.1} records each; ", show_count(self.frames), per(self.frames))?;
            write!(out, "{:.1} records a read", per(self.reads))
        })
    }

    fn checked(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.checks;
        line(f, "lost", |out| {
            write!(out, "{} ({} unannounced, ", show_count(self.lost), show_count(c.missing))?;
            write!(out, "{} in {} gaps, ", show_count(c.gap_records), show_count(c.gaps))?;
            write!(out, "{} dropped); ", show_count(c.dropped))?;
            write!(out, "{} conflated, {} surplus", show_count(c.conflated), c.surplus)
        })?;
        line(f, "counts", |out| {
            write!(out, "{} compared with the server's, ", show_count(c.counts_compared))?;
            write!(out, "{} of {} ", c.verified, self.connections)?;
            write!(out, "connections agree to the last record")
        })?;
        if self.check_sequence {
            line(f, "venue", |out| {
                write!(out, "{} gaps of {} ", c.sequence_gaps, c.sequence_missing)?;
                write!(out, "in the sequence, {} duplicates, ", c.sequence_duplicates)?;
                write!(out, "{} out of order", c.sequence_reordered)
            })?;
        }
        for (count, what) in [
            (c.seq_decreased, "batches had a lower seq than the one before"),
            (c.epoch_changes, "times the epoch changed within a connection"),
            (c.counts_inconsistent, "counts were not the sum of their subscriptions'"),
            (c.lagging, "times the server said that a connection lags"),
        ] {
            if count > 0 {
                line(f, "  !", |out| write!(out, "{} {what}", show_count(count)))?;
            }
        }
        Ok(())
    }

    fn connected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.disconnects.is_empty() {
            line(f, "connections", |out| write!(out, "all stayed to the end"))?;
        }
        for (reason, count) in &self.disconnects {
            line(f, "connections", |out| write!(out, "{} {reason}", show_count(*count)))?;
        }
        if self.rejected.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = self.rejected.iter().take(NAMED).map(String::as_str).collect();
        let more = if self.rejected.len() > NAMED { ", …" } else { "" };
        line(f, "rejected", |out| {
            write!(out, "{} symbols: {}{more}", self.rejected.len(), named.join(", "))
        })
    }

    fn client(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let each = |kind: fn(&Share) -> f64| -> Vec<String> {
            self.client.iter().map(|share| percent(kind(share))).collect()
        };
        line(f, "client", |out| {
            write!(out, "threads busy {}, ", each(|share| share.busy).join(", "))?;
            write!(out, "waiting for a core {}", each(|share| share.waiting).join(", "))
        })?;
        if self.most(|share| share.busy) > BUSY {
            writeln!(
                f,
                "\nwarning: a thread of this client was over {} busy, so that these \
                 figures\nshow the client as much as the server: use more --threads, or fewer \
                 connections.",
                percent(BUSY)
            )?;
        }
        if self.most(|share| share.waiting) > WAITING {
            writeln!(
                f,
                "\nwarning: a thread of this client waited for a core over {} of the time, \
                 which\nis in the latencies: give it a core of its own, or measure from another \
                 machine.",
                percent(WAITING)
            )?;
        }
        Ok(())
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    write: impl FnOnce(&mut String) -> fmt::Result,
) -> fmt::Result {
    let mut text = String::new();
    write(&mut text)?;
    writeln!(f, "{name:<13} {text}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One sample of 1 ms from `ts_event`, one of 100 µs from `ts_out`, none from `ts_send`.
    pub(crate) fn report() -> Report {
        let mut total = Interval::new().unwrap();
        let mut measure = total.begin(u64::MAX, 2_000_000);
        measure.record(1_000_000, 1_900_000);
        measure.end();
        let checks = Checks { missing: 1, gap_records: 2, verified: 1, ..Checks::default() };
        Report {
            version: "0",
            url: "ws://h:1/v1/stream".to_owned(),
            connections: 2,
            threads: 1,
            schema: "trades".to_owned(),
            symbols: "all symbols".to_owned(),
            encoding: "dbn",
            warmup_s: 1.0,
            duration_s: 1.0,
            start: 0,
            total,
            records: 1,
            bytes: 82,
            frames: 1,
            reads: 1,
            records_per_s: 1.0,
            bytes_per_s: 82.0,
            lost: checks.lost(),
            check_sequence: true,
            checks,
            disconnects: BTreeMap::from([("lost: connection reset".to_owned(), 1)]),
            rejected: BTreeSet::new(),
            client: vec![Share { busy: 0.25, waiting: 0.0 }],
        }
    }

    #[test]
    fn the_table_says_what_was_measured_and_what_was_not() {
        let text = report().to_string();
        let row = |name: &str| text.lines().find(|l| l.trim_start().starts_with(name)).unwrap();
        assert!(row("ts_event").contains("1.00 ms") && row("ts_out").contains("100 µs"));
        assert!(row("ts_send").contains('–') && row("ts_send").contains("(1 before the stamp"));
        assert!(row("lost").contains("3 (1 unannounced, 2 in 0 gaps"));
        assert!(row("connections").contains("1 lost: connection reset"));
        assert!(!text.contains("warning"));
        let idle = Share::default();
        let client = vec![idle, Share { busy: 0.9, ..idle }];
        assert!(Report { client, ..report() }.to_string().contains("over 80 % busy"));
        let client = vec![Share { waiting: 0.2, ..idle }];
        assert!(Report { client, ..report() }.to_string().contains("waited for a core"));
    }

    #[test]
    fn the_json_holds_every_series() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["latency_ns"]["ts_event"]["count"], 1);
        assert_eq!(json["latency_ns"]["ts_send"]["negative"], 1);
        assert!(json["latency_ns"]["ts_send"].get("p50").is_none());
        assert_eq!((&json["lost"], &json["checks"]["missing"]), (&3.into(), &1.into()));
    }
}
