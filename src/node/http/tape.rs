//! The recorder on the pages: its metrics, its part of `/v1/status`, and `/v1/recordings`.

use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::decimal::Decimal;
use super::exposition::{Exposition, Kind};
use crate::derive;
use crate::node::report::{self, RecorderStatus, Status};
use crate::wire::grant::Rights;
use crate::wire::instrument::schemas_of;

use Kind::{Counter, Gauge};

/// A figure of the recorder: its metric, what that is, what it counts, where the status has it.
type Figure = (&'static str, Kind, &'static str, fn(&RecorderStatus) -> u64);

#[rustfmt::skip]
const FIGURES: [Figure; 11] = [
    ("broadtape_tape_recording", Gauge, "1 while the recorder records, 0 while its disk is lost.", |r| u64::from(r.health.failure.is_none())),
    ("broadtape_tape_recorded_seq", Gauge, "Sequence of the last record that counts as recorded.", |r| r.recorded),
    ("broadtape_tape_durable_seq", Gauge, "Sequence of the last record that is known to be on the disk.", |r| r.durable),
    ("broadtape_tape_oldest_seq", Gauge, "Sequence of the oldest record that is retained.", |r| r.oldest),
    ("broadtape_tape_records_total", Counter, "Records written.", |r| r.records),
    ("broadtape_tape_bytes_total", Counter, "Bytes written.", |r| r.bytes),
    ("broadtape_tape_holes_total", Counter, "Runs of records that were lost before they were recorded.", |r| r.holes),
    ("broadtape_tape_lost_records_total", Counter, "Records in them.", |r| r.lost),
    ("broadtape_tape_segments_total", Counter, "Segment files begun.", |r| r.segments),
    ("broadtape_tape_failures_total", Counter, "Times that the disk failed.", |r| r.failures),
    ("broadtape_tape_size_bytes", Gauge, "Bytes of the segment files, as of the last look.", |r| r.size),
];

/// Its metrics.
pub(super) fn page(recorder: &RecorderStatus) -> String {
    let mut page = Exposition::default();
    for (name, kind, help, figure) in FIGURES {
        page.family(name, kind, help);
        page.sample(name, &[], figure(recorder));
    }
    page.finish()
}

/// Its part of `/v1/status`.
#[derive(Serialize)]
pub(super) struct Recorder {
    /// Why it does not record; null where it does.
    failure: Option<String>,
    since: Decimal,
    recorded_seq: Decimal,
    durable_seq: Decimal,
    oldest_seq: Decimal,
    records: Decimal,
    bytes: Decimal,
    holes: Decimal,
    lost: Decimal,
    failures: Decimal,
    size: Decimal,
}

/// The same as `/v1/status` has it.
pub(super) fn overview(recorder: &RecorderStatus) -> Recorder {
    Recorder {
        failure: recorder.health.failure.clone(),
        since: Decimal(recorder.health.since),
        recorded_seq: Decimal(recorder.recorded),
        durable_seq: Decimal(recorder.durable),
        oldest_seq: Decimal(recorder.oldest),
        records: Decimal(recorder.records),
        bytes: Decimal(recorder.bytes),
        holes: Decimal(recorder.holes),
        lost: Decimal(recorder.lost),
        failures: Decimal(recorder.failures),
        size: Decimal(recorder.size),
    }
}

/// What is counted of recordings and downloads.
pub(super) async fn downloads(status: &impl Status) -> String {
    let mut page = Exposition::default();
    let (all, downloads) = (status.recordings().await, status.downloads());
    let name = "broadtape_recordings";
    page.family(name, Gauge, "Recordings that clients may have replayed, by state.");
    for state in ["ready", "preparing", "refused"] {
        let count = all.iter().filter(|recording| recording.state == state).count();
        page.sample(name, &[("state", state)], count as u64);
    }
    for (name, help, count) in [
        ("broadtape_downloads_total", "Downloads begun.", &downloads.begun),
        ("broadtape_downloads_broken_total", "Downloads broken off.", &downloads.broken),
        ("broadtape_download_bytes_total", "Bytes made for downloads.", &downloads.bytes),
    ] {
        page.family(name, Counter, help);
        page.sample(name, &[], count.load(Relaxed));
    }
    page.finish()
}

#[derive(Serialize)]
struct Recordings<'a> {
    recordings: Vec<Recording<'a>>,
}

/// What can be replayed. Times are index times, null where it has no records yet.
#[derive(Serialize)]
struct Recording<'a> {
    name: &'a str,
    start: Option<Decimal>,
    end: Option<Decimal>,
    records: Decimal,
    /// Of its records.
    schemas: Vec<&'static str>,
    /// What can be replayed besides: derived from its records.
    derivable: Vec<&'static str>,
    symbols: usize,
    /// `ready`, `preparing` (it is still being read) or `refused`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// The schemas of a mask.
fn named(mask: u32) -> Vec<&'static str> {
    schemas_of(mask).map(|schema| schema.as_str()).collect()
}

/// `/v1/recordings`: those that may be replayed, as far as they may.
pub(super) fn recordings(all: &[report::Recording], rights: Option<&Rights>) -> Vec<u8> {
    let all = if rights.is_none_or(|rights| rights.replay) { all } else { &[] };
    let given = rights.map_or(u32::MAX, |rights| rights.schemas);
    let list = all.iter().map(|report::Recording { name, state, reason, summary }| Recording {
        name,
        state,
        reason: reason.as_deref(),
        start: summary.times.map(|(start, _)| Decimal(start)),
        end: summary.times.map(|(_, end)| Decimal(end)),
        records: Decimal(summary.records),
        schemas: named(summary.schemas & given),
        derivable: named(derive::derivable(summary.schemas) & given),
        symbols: summary.symbols,
    });
    super::json(&Recordings { recordings: list.collect() })
}
