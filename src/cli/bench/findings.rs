//! What a run has found, before it is reported.

use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;

use super::dialogue::checks::{Books, Checks};
use super::interval::{Interval, Since};
use super::machine::Share;
use super::worker::Visits;

/// What the connections found together.
pub(crate) struct Findings {
    /// When the window began, ns.
    pub(crate) start: u64,
    pub(crate) total: Interval,
    pub(crate) seconds: Vec<Second>,
    pub(crate) books: Books,
    pub(crate) disconnects: BTreeMap<String, u64>,
    pub(crate) rejected: BTreeSet<String>,
    pub(crate) client: Vec<Share>,
    /// From when a connection was to be opened to when it could subscribe, ns.
    pub(crate) connects: Histogram<u64>,
    pub(crate) lagging: Lagging,
    pub(crate) visits: Visits,
}

/// One second of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Second {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Of the latencies from the event, ns.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Second {
    pub(crate) fn of(interval: &Interval) -> Self {
        let histogram = &interval.series(Since::Event).histogram;
        let at = |quantile| histogram.value_at_quantile(quantile);
        let (records, bytes) = (interval.records, interval.bytes);
        Self { records, bytes, p50: at(0.5), p99: at(0.99), max: histogram.max() }
    }
}

/// What became of those that stopped reading, or read slowly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lagging {
    /// Those that still were connected after the window.
    pub(crate) stayed: u64,
    pub(crate) ended: BTreeMap<String, u64>,
    pub(crate) checks: Checks,
}
