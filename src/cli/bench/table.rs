//! The result as a table, for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use hdrhistogram::Histogram;

use super::interval::Series;
use super::report::{Laggards, QUANTILES, Report, Visitors};
use crate::cli::units::{show_bytes, show_bytes_per_s, show_count, show_nanos};

/// A thread that runs for more than this part of the time is itself what is measured.
pub(crate) const BUSY: f64 = 0.9;
/// A thread that waits for a core for more than this part of the time sees records late.
pub(crate) const WAITING: f64 = 0.1;
/// Rejected symbols that the table names.
const NAMED: usize = 5;
/// Connections from which on the memory of each can be told from that of the system's pages.
const SLOPE_MIN: usize = 1_000;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        writeln!(f, "{}\n", self.outline())?;
        self.latency_table(f)?;
        for (name, text) in self.lines() {
            writeln!(f, "{name:<13} {text}")?;
        }
        self.warnings().iter().try_for_each(|warning| write!(f, "\nwarning: {warning}\n"))
    }
}

/// A time, or a dash where there is none.
pub(crate) fn at(times: &Histogram<u64>, quantile: f64) -> String {
    let value = times.value_at_quantile(quantile);
    if times.is_empty() { "–".to_owned() } else { show_nanos(value) }
}

/// What stands on one line, with its name.
pub(crate) type Line = (&'static str, String);

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

impl Report {
    /// What was run, in a sentence.
    pub(crate) fn outline(&self) -> String {
        let what = match self.protocol {
            "broadtape" => format!("{} of {}, {}", self.symbols, self.schema, self.encoding),
            other => other.to_owned(),
        };
        let ramp = self.ramp.as_ref().map(|ramp| format!(" opened {ramp}")).unwrap_or_default();
        format!(
            "{} connections{ramp}, {} client thread{}, {what}; {} s after {} s of warm-up",
            show_count(self.connections as u64),
            self.threads,
            if self.threads == 1 { "" } else { "s" },
            self.duration_s,
            self.warmup_s
        )
    }

    fn latency_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13}", "received after")?;
        QUANTILES.iter().try_for_each(|(name, _)| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        for since in self.stamps() {
            let series = self.total.series(since);
            write!(f, "  {:<12}", since.name())?;
            for (_, quantile) in QUANTILES {
                write!(f, "{:>10}", at(&series.histogram, quantile))?;
            }
            writeln!(f, "{}", left_out(series))?;
        }
        writeln!(f)
    }

    /// All but the latencies.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = self.received();
        lines.extend(self.cost());
        lines.extend(self.checked());
        lines.extend(self.connected());
        lines.extend(self.lagging.iter().flat_map(laggards));
        lines.extend(self.churn.iter().flat_map(visitors));
        lines.push(("client", self.client()));
        lines
    }

    fn received(&self) -> Vec<Line> {
        let per = |n: u64| self.records as f64 / n.max(1) as f64;
        let received = format!(
            "{} records, {}/s, {}",
            show_count(self.records),
            show_count(self.records_per_s as u64),
            show_bytes_per_s(self.bytes_per_s)
        );
        let frames = format!(
            "{}, {:.1} records each; {:.1} records a read",
            show_count(self.frames),
            per(self.frames),
            per(self.reads)
        );
        vec![("received", received), ("frames", frames)]
    }

    fn cost(&self) -> Vec<Line> {
        let Some(cost) = &self.server else { return Vec::new() };
        let each = match cost.cpu_ns_per_record {
            Some(each) => format!("{each:.1} ns"),
            None => "–".to_owned(),
        };
        let cpu =
            format!("{each} of CPU a delivered record, {} of a core", percent(cost.cpu_share));
        let size = |bytes: u64| show_bytes(bytes as f64);
        let slope = match self.connections {
            SLOPE_MIN.. => format!(" ({} a connection)", show_bytes(cost.rss_per_connection)),
            _ => String::new(),
        };
        let memory = format!(
            "{} before, {} connected{slope}, {} at the end, {} at most",
            size(cost.rss_start),
            size(cost.rss_connected),
            size(cost.rss_end),
            size(cost.rss_peak)
        );
        vec![("server", cpu), ("server memory", memory)]
    }

    fn checked(&self) -> Vec<Line> {
        let c = &self.checks;
        let lost = format!(
            "{} ({} unannounced, {} in {} gaps, {} dropped); {} conflated; {}",
            show_count(self.lost),
            show_count(c.missing),
            show_count(c.gap_records),
            show_count(c.gaps),
            show_count(c.dropped),
            show_count(c.conflated),
            self.wrong()
        );
        let mut lines = vec![("lost", lost)];
        if self.lost + self.duplicated + self.reordered + c.conflated > 0 {
            let w = &self.worst;
            let text = format!(
                "{} lost, {} duplicated, {} reordered, {} conflated, {} gaps",
                w.lost, w.duplicated, w.reordered, w.conflated, w.gaps
            );
            lines.push(("  at worst", text + " (of one connection)"));
        }
        if self.protocol == "broadtape" {
            let compared = show_count(c.counts_compared);
            lines.push((
                "counts",
                format!(
                    "{compared} compared with the server's, {} of {} connections agree to the last \
                     record",
                    c.verified, self.measured
                ),
            ));
        }
        if self.check_sequence {
            lines.push((
                "venue",
                format!(
                    "{} gaps of {} in the sequence, {} duplicates, {} out of order",
                    c.sequence_gaps,
                    c.sequence_missing,
                    c.sequence_duplicates,
                    c.sequence_reordered
                ),
            ));
        }
        lines.extend(self.oddities());
        lines
    }

    fn wrong(&self) -> String {
        let (twice, late) = (show_count(self.duplicated), show_count(self.reordered));
        format!("{twice} duplicated, {late} reordered")
    }

    fn oddities(&self) -> Vec<Line> {
        let c = &self.checks;
        let all = [
            (c.seq_decreased, "batches had a lower seq than the one before"),
            (c.epoch_changes, "times the epoch changed within a connection"),
            (c.counts_inconsistent, "counts were not the sum of their subscriptions'"),
            (c.lagging, "times the server said that a connection lags"),
            (c.foreign, "messages were no records"),
        ];
        let there = all.into_iter().filter(|(count, _)| *count > 0);
        there.map(|(count, what)| ("  !", format!("{} {what}", show_count(count)))).collect()
    }

    fn connected(&self) -> Vec<Line> {
        let times = |name, quantile| format!("{name} {}", at(&self.connects, quantile));
        let connects = ["p50", "p99", "max"].into_iter().zip([0.5, 0.99, 1.0]);
        let connects: Vec<_> = connects.map(|(name, quantile)| times(name, quantile)).collect();
        let mut lines = vec![("connects", connects.join(", "))];
        if self.disconnects.is_empty() {
            lines.push(("connections", "all stayed to the end".to_owned()));
        }
        lines.extend(by_reason("connections", &self.disconnects));
        if !self.rejected.is_empty() {
            let named: Vec<&str> = self.rejected.iter().take(NAMED).map(String::as_str).collect();
            let more = if self.rejected.len() > NAMED { ", …" } else { "" };
            let text = format!("{} symbols: {}{more}", self.rejected.len(), named.join(", "));
            lines.push(("rejected", text));
        }
        lines
    }

    fn client(&self) -> String {
        let mut out = String::from("threads busy ");
        let join = |kind: fn(&super::machine::Share) -> f64| {
            let shares: Vec<_> = self.client.iter().map(|share| percent(kind(share))).collect();
            shares.join(", ")
        };
        out.push_str(&join(|share| share.busy));
        // Writing to a string can't fail.
        let _ = write!(out, ", waiting for a core {}", join(|share| share.waiting));
        if let Some(each) = self.client_cpu_ns_per_record {
            let _ = write!(out, "; {each:.1} ns of CPU a record");
        }
        out
    }

    /// Why the figures may not be what they seem.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.most(|share| share.busy) > BUSY {
            warnings.push(format!(
                "a thread of this client was over {} busy: it is the bottleneck, and these\n\
                 figures are the client's as much as the server's. Use more --threads, or fewer\n\
                 connections.",
                percent(BUSY)
            ));
        }
        if self.most(|share| share.waiting) > WAITING {
            warnings.push(format!(
                "a thread of this client waited for a core over {} of the time, which is in the\n\
                 latencies: give it a core of its own, or measure from another machine.",
                percent(WAITING)
            ));
        }
        if self.records == 0 {
            warnings.push("nothing was received within the window.".to_owned());
        }
        warnings
    }
}

fn by_reason(name: &'static str, reasons: &BTreeMap<String, u64>) -> Vec<Line> {
    let lines = reasons.iter();
    lines.map(|(reason, count)| (name, format!("{} {reason}", show_count(*count)))).collect()
}

fn laggards(lagging: &Laggards) -> Vec<Line> {
    let mut who = Vec::new();
    if lagging.stalled > 0 {
        who.push(format!("{} stopped reading", show_count(lagging.stalled as u64)));
    }
    if lagging.slow > 0 {
        let rate = show_bytes(lagging.slow_bytes_per_s as f64);
        who.push(format!("{} read {rate}/s", show_count(lagging.slow as u64)));
    }
    let c = &lagging.checks;
    let text = format!(
        "{}: {} still connected; {} records conflated, {} dropped, {} gaps",
        who.join(", "),
        show_count(lagging.stayed),
        show_count(c.conflated),
        show_count(c.dropped),
        show_count(c.gaps)
    );
    let mut lines = vec![("laggards", text)];
    lines.extend(by_reason("laggards", &lagging.ended));
    lines
}

fn visitors(churn: &Visitors) -> Vec<Line> {
    let text = format!(
        "{}/s asked for: {} connected, {} failed; p50 {}, p99 {}, max {}",
        churn.rate,
        show_count(churn.done),
        show_count(churn.failed),
        at(&churn.times, 0.5),
        at(&churn.times, 0.99),
        at(&churn.times, 1.0)
    );
    let mut lines = vec![("churn", text)];
    lines.extend(by_reason("churn failed", &churn.reasons));
    lines
}

/// What a series leaves out, where it does.
pub(crate) fn left_out(series: &Series) -> String {
    let (negative, beyond) = (series.negative, series.beyond);
    if negative + beyond == 0 {
        return String::new();
    }
    format!(
        "   ({} before the stamp, {} over a minute after it: left out)",
        show_count(negative),
        show_count(beyond)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::machine::Share;
    use crate::cli::bench::report::tests::report;

    #[test]
    fn the_table_says_what_was_measured_and_what_was_not() {
        let text = report().to_string();
        let row = |name: &str| text.lines().find(|l| l.trim_start().starts_with(name)).unwrap();
        assert!(row("ts_event").contains("1.00 ms") && row("ts_out").contains("100 µs"));
        assert!(row("ts_send").contains('–') && row("ts_send").contains("(1 before the stamp"));
        assert!(row("lost").contains("3 (1 unannounced, 2 in 0 gaps"));
        assert!(row("at worst").contains("2 lost, 0 duplicated"));
        assert!(row("connections").contains("1 lost: connection reset"));
        assert!(row("connects").contains("p99 2.00 ms"));
        assert!(row("server ").contains("200.0 ns of CPU a delivered record, 50 % of a core"));
        assert!(!row("server memory").contains("a connection"), "three say nothing");
        let many = Report { connections: SLOPE_MIN, ..report() }.to_string();
        assert!(many.contains("(700 B a connection)"));
        assert!(row("laggards").contains("1 stopped reading: 0 still connected"));
        assert!(text.contains("1 closed by the server with 4008"));
        assert!(row("churn ").contains("8 connected, 2 failed; p50 3.00 ms"));
        assert!(row("churn failed").contains("2 refused"));
        assert!(!text.contains("warning"));
    }

    #[test]
    fn a_client_that_is_the_bottleneck_is_told() {
        let idle = Share::default();
        let client = vec![idle, Share { busy: 0.95, ..idle }];
        assert!(Report { client, ..report() }.to_string().contains("over 90 % busy"));
        let client = vec![Share { waiting: 0.2, ..idle }];
        assert!(Report { client, ..report() }.to_string().contains("waited for a core"));
        assert!(Report { records: 0, ..report() }.to_string().contains("nothing was received"));
    }

    #[test]
    fn other_protocols_show_only_what_they_have() {
        let text = Report { protocol: "raw48", ..report() }.to_string();
        assert!(text.contains("ts_event") && !text.contains("ts_out") && !text.contains("counts"));
        assert!(text.contains("1 client thread, raw48;"));
    }
}
