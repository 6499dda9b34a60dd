//! The figures of a report that a condition may be about, with their names and units.

use super::report::Report;
use crate::cli::units::{self, BadQuantity};

/// What the help says of conditions.
pub(crate) const METRICS: &str = "\
Exit with 3 where this holds (repeatable): METRIC, one of < <= > >=, VALUE.

Latencies, compared with durations ('p99>5ms'):
  p50, p99.9 and so on, max   from ts_event; out.p99 and send.p99 from the others
  connect.p99                 from when a connection was due to its welcome
  churn.p99                   the same of the visitors of --churn
Cost, with --server-pid:
  cpu                         CPU time by delivered record ('cpu>100ns')
  cpu_share                   CPU time, percent of one core
  rss_start, rss_connected, rss_end, rss_peak, rss_per_connection   'rss_peak>2GiB'
Counts ('lost>0'):
  lost, duplicated, reordered, conflated, gaps; worst.lost and so on of one connection
  missing, surplus, dropped, unverified, seq_decreased, sequence_gaps,
  sequence_missing, sequence_duplicates, sequence_reordered, foreign, disconnects,
  rejected, records, records_per_s, bytes_per_s, frames, churn_done, churn_failed,
  stalled_ended
The client itself, percent of its busiest thread:
  client_busy, client_waiting";

/// How the value of a figure is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Number,
    Nanos,
    Bytes,
}

impl Unit {
    pub(crate) fn read(self, text: &str) -> Result<f64, BadQuantity> {
        match self {
            Self::Number => units::number(text),
            Self::Nanos => units::nanos(text),
            Self::Bytes => units::bytes(text),
        }
    }

    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Number => value.to_string(),
            Self::Nanos if value < 1e3 => format!("{value:.1} ns"),
            Self::Nanos => units::show_nanos(value as u64),
            Self::Bytes => units::show_bytes(value),
        }
    }
}

/// A figure of the report that is no quantile; none where it was not measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    /// The flag without which it is not measured.
    pub(crate) needs: Option<&'static str>,
    pub(crate) of: fn(&Report) -> Option<f64>,
}

const fn count(name: &'static str, of: fn(&Report) -> Option<f64>) -> Figure {
    Figure { name, unit: Unit::Number, needs: None, of }
}

const fn cost(name: &'static str, unit: Unit, of: fn(&Report) -> Option<f64>) -> Figure {
    Figure { name, unit, needs: Some("--server-pid"), of }
}

const fn churn(name: &'static str, of: fn(&Report) -> Option<f64>) -> Figure {
    Figure { name, unit: Unit::Number, needs: Some("--churn"), of }
}

#[rustfmt::skip]
pub(crate) const FIGURES: &[Figure] = &[
    count("lost", |r| Some(r.lost as f64)),
    count("duplicated", |r| Some(r.duplicated as f64)),
    count("reordered", |r| Some(r.reordered as f64)),
    count("conflated", |r| Some(r.checks.conflated as f64)),
    count("gaps", |r| Some(r.checks.gaps as f64)),
    count("worst.lost", |r| Some(r.worst.lost as f64)),
    count("worst.duplicated", |r| Some(r.worst.duplicated as f64)),
    count("worst.reordered", |r| Some(r.worst.reordered as f64)),
    count("worst.conflated", |r| Some(r.worst.conflated as f64)),
    count("worst.gaps", |r| Some(r.worst.gaps as f64)),
    count("missing", |r| Some(r.checks.missing as f64)),
    count("surplus", |r| Some(r.checks.surplus as f64)),
    count("dropped", |r| Some(r.checks.dropped as f64)),
    count("unverified", |r| Some((r.measured as u64 - r.checks.verified) as f64)),
    count("seq_decreased", |r| Some(r.checks.seq_decreased as f64)),
    count("sequence_gaps", |r| Some(r.checks.sequence_gaps as f64)),
    count("sequence_missing", |r| Some(r.checks.sequence_missing as f64)),
    count("sequence_duplicates", |r| Some(r.checks.sequence_duplicates as f64)),
    count("sequence_reordered", |r| Some(r.checks.sequence_reordered as f64)),
    count("foreign", |r| Some(r.checks.foreign as f64)),
    count("disconnects", |r| Some(r.disconnects.values().sum::<u64>() as f64)),
    count("rejected", |r| Some(r.rejected.len() as f64)),
    count("records", |r| Some(r.records as f64)),
    count("records_per_s", |r| Some(r.records_per_s)),
    count("bytes_per_s", |r| Some(r.bytes_per_s)),
    count("frames", |r| Some(r.frames as f64)),
    count("client_busy", |r| Some(r.most(|share| share.busy) * 100.0)),
    count("client_waiting", |r| Some(r.most(|share| share.waiting) * 100.0)),
    cost("cpu", Unit::Nanos, |r| r.server.as_ref()?.cpu_ns_per_record),
    cost("cpu_share", Unit::Number, |r| Some(r.server.as_ref()?.cpu_share * 100.0)),
    cost("rss_start", Unit::Bytes, |r| Some(r.server.as_ref()?.rss_start as f64)),
    cost("rss_connected", Unit::Bytes, |r| Some(r.server.as_ref()?.rss_connected as f64)),
    cost("rss_per_connection", Unit::Bytes, |r| Some(r.server.as_ref()?.rss_per_connection)),
    cost("rss_end", Unit::Bytes, |r| Some(r.server.as_ref()?.rss_end as f64)),
    cost("rss_peak", Unit::Bytes, |r| Some(r.server.as_ref()?.rss_peak as f64)),
    churn("churn_done", |r| Some(r.churn.as_ref()?.done as f64)),
    churn("churn_failed", |r| Some(r.churn.as_ref()?.failed as f64)),
    Figure { name: "stalled_ended", unit: Unit::Number, needs: Some("--stall"),
        of: |r| Some(r.lagging.as_ref()?.ended.values().sum::<u64>() as f64) },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_figure() {
        let words: Vec<&str> = METRICS.split([' ', ',', ';', '\n']).collect();
        for figure in FIGURES.iter().filter(|figure| !figure.name.starts_with("worst.")) {
            assert!(words.contains(&figure.name), "{}", figure.name);
        }
    }
}
