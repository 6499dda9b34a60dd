//! The charts of a run.

use super::chart::{Axis, Chart, Line};
use super::label;
use super::scale::Scale;
use crate::cli::bench::findings::Second;
use crate::cli::bench::interval::Since;
use crate::cli::bench::report::Report;
use crate::cli::units::{show_count, show_nanos};

/// Points of a line over percentiles.
const POINTS: usize = 300;
/// Nines at most.
const NINES: f64 = 7.0;
/// What is said where there is nothing to draw.
const NOTHING: &str = "<p>No sample.</p>";

/// Latency by percentile, a line a stamp.
pub(crate) fn percentiles(report: &Report) -> String {
    let histogram = |since: Since| &report.total.series(since).histogram;
    let there: Vec<Since> = report.stamps().filter(|s| !histogram(*s).is_empty()).collect();
    let Some(most) = there.iter().map(|since| histogram(*since).len()).max() else {
        return NOTHING.to_owned();
    };
    // Beyond the last sample there is nothing.
    let nines = (most as f64).log10().ceil().clamp(1.0, NINES);
    let points = |since: Since| {
        let quantile = |n: usize| 1.0 - 10f64.powf(-(n as f64) / POINTS as f64 * nines);
        let value = move |q| histogram(since).value_at_quantile(q) as f64;
        (0..=POINTS).map(quantile).map(|q| (q, value(q))).collect()
    };
    let values = there.iter().flat_map(|s| [histogram(*s).min(), histogram(*s).max()]);
    let y = Scale::times(values);
    Chart {
        title: "Latency by percentile".to_owned(),
        x: Axis { label: "percentile", scale: Scale::Nines { high: nines } },
        y: Axis { label: "latency", scale: y },
        lines: there.iter().map(|s| Line { label: label(*s), points: points(*s) }).collect(),
        show: nanos,
    }
    .svg()
}

/// Latency from the event, second by second.
pub(crate) fn latency_by_time(report: &Report) -> String {
    let there: Vec<(f64, Second)> = timed(report).filter(|(_, second)| second.max > 0).collect();
    if there.is_empty() {
        return NOTHING.to_owned();
    }
    let line = |name: &str, value: fn(&Second) -> u64| {
        let points = there.iter().map(|(time, second)| (*time, value(second) as f64)).collect();
        Line { label: name.to_owned(), points }
    };
    let values = there.iter().flat_map(|(_, second)| [second.p50, second.max]);
    Chart {
        title: "Latency from ts_event by time".to_owned(),
        x: seconds(report),
        y: Axis { label: "latency from ts_event", scale: Scale::times(values) },
        lines: vec![
            line("p50", |second| second.p50),
            line("p99", |second| second.p99),
            line("max", |second| second.max),
        ],
        show: nanos,
    }
    .svg()
}

/// Records, second by second; one that was not whole counts as if it had been.
pub(crate) fn records_by_time(report: &Report) -> String {
    if report.seconds.is_empty() {
        return NOTHING.to_owned();
    }
    let rate = |(time, second): (f64, Second)| {
        let length = if time.fract() > 0.0 { time.fract() } else { 1.0 };
        (time, second.records as f64 / length)
    };
    let points: Vec<(f64, f64)> = timed(report).map(rate).collect();
    let most = points.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
    Chart {
        title: "Records a second by time".to_owned(),
        x: seconds(report),
        y: Axis { label: "records/s", scale: Scale::Counts { high: most * 1.05 } },
        lines: vec![Line { label: "received".to_owned(), points }],
        show: |rate| format!("{}/s", show_count(rate as u64)),
    }
    .svg()
}

/// Each second with the time of its end; the last one may be cut short.
fn timed(report: &Report) -> impl Iterator<Item = (f64, Second)> {
    let end = report.duration_s;
    let seconds = report.seconds.iter().enumerate();
    seconds.map(move |(n, second)| ((n as f64 + 1.0).min(end), *second))
}

fn seconds(report: &Report) -> Axis {
    Axis {
        label: "time since the window began, s",
        scale: Scale::Seconds { high: report.duration_s },
    }
}

fn nanos(value: f64) -> String {
    show_nanos(value as u64)
}
