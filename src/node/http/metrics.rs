//! `/metrics`: everything that is counted, for Prometheus.

use std::fmt::Display;

use super::exposition::{Exposition, Kind, Labels};
use crate::latency::{Latency, Stage};
use crate::node::report::{FeedReport, Info, ShardReport, TlsReport};

/// A count for each name.
type Named = Vec<(&'static str, u64)>;

/// Upper bounds of the latency buckets, ns: 1, 2, 5 in each decade from 1 µs to 10 s.
const BOUNDS: [u64; 22] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// A figure of each shard: its metric, what that is, what it counts, where the report has it.
type PerShard = (&'static str, Kind, &'static str, fn(&ShardReport) -> u64);

use Kind::{Counter, Gauge};

#[rustfmt::skip]
const PER_SHARD: [PerShard; 18] = [
    ("broadtape_connections", Gauge, "Connected clients.", |s| s.connections),
    ("broadtape_subscriptions", Gauge, "Subscriptions of connected clients.", |s| s.subscriptions),
    ("broadtape_audiences", Gauge, "Groups of clients that share framed bytes.", |s| s.audiences),
    ("broadtape_sent_records_total", Counter, "Records handed to the kernel, once for each client.", |s| s.records),
    ("broadtape_sent_bytes_total", Counter, "Bytes handed to the kernel.", |s| s.bytes),
    ("broadtape_sends_total", Counter, "System calls that sent them.", |s| s.sends),
    ("broadtape_queued_bytes", Gauge, "Bytes that wait for slow clients.", |s| s.queued_bytes),
    ("broadtape_queued_max_bytes", Gauge, "Those of the client that has most.", |s| s.queued_max),
    ("broadtape_conflated_records_total", Counter, "Records that a newer state replaced before they were sent.", |s| s.conflated),
    ("broadtape_dropped_records_total", Counter, "Records that did not reach a client.", |s| s.dropped),
    ("broadtape_gaps_total", Counter, "Gaps that clients were told of.", |s| s.gaps),
    ("broadtape_shed_total", Counter, "Queues of slow clients that were cut short for want of memory.", |s| s.shed),
    (
        "broadtape_fell_back_total",
        Counter,
        "Slow connections that went on from the tape.",
        |s| s.fell_back,
    ),
    (
        "broadtape_replayed_records_total",
        Counter,
        "Records sent in replays of clients.",
        |s| s.replayed,
    ),
    ("broadtape_ring_read_records_total", Counter, "Records of the ring that the shard has looked at.", |s| s.examined),
    ("broadtape_ring_overrun_records_total", Counter, "Records that the ring overwrote before the shard read them.", |s| s.overrun),
    ("broadtape_ring_lag_records", Gauge, "Records published and not yet read by the shard.", |s| s.lag_records),
    ("broadtape_ring_read_seq", Gauge, "Sequence of the last record that the shard has read.", |s| s.read_seq),
];

/// The page.
pub(super) fn page(
    info: &Info,
    ready: bool,
    feed: &FeedReport,
    shards: &[ShardReport],
    [refusals, security]: &[Named; 2],
) -> String {
    let mut page = Exposition::default();
    node(&mut page, info, ready);
    publisher(&mut page, feed);
    for (name, kind, help, figure) in PER_SHARD {
        page.family(name, kind, help);
        for shard in shards {
            page.sample(name, &[("shard", &shard.shard.to_string())], figure(shard));
        }
    }
    let help = "Connections that ended, by reason.";
    by_reason(&mut page, "broadtape_closes_total", help, shards, |shard| &shard.closes);
    let name = "broadtape_gate_refused_total";
    named(&mut page, name, "Connections that reached no shard, by reason.", "reason", refusals);
    let name = "broadtape_security_events_total";
    named(&mut page, name, "What somebody tried that is not to be.", "event", security);
    let help = "Requests that were refused, by reason.";
    by_reason(&mut page, "broadtape_refused_total", help, shards, |shard| &shard.refused);
    latency(&mut page, feed, shards);
    page.finish()
}

/// What there is of TLS, where it is spoken.
pub(super) fn tls(report: &TlsReport) -> String {
    let mut page = Exposition::default();
    let families = [
        ("broadtape_tls_handshakes_total", "TLS handshakes done.", "version", &report.versions),
        ("broadtape_tls_failures_total", "TLS handshakes failed.", "reason", &report.failures),
        ("broadtape_tls_reloads_total", "Certificates read anew.", "result", &report.reloads),
    ];
    for (name, help, label, counts) in families {
        page.family(name, Counter, help);
        for (value, count) in counts {
            page.sample(name, &[(label, value)], count);
        }
    }
    page.finish()
}

fn node(page: &mut Exposition, info: &Info, ready: bool) {
    let epoch = info.epoch.to_string();
    let labels: Labels<'_> = &[("version", info.version), ("epoch", &epoch)];
    single(page, "broadtape_info", Gauge, "What runs: always 1.", labels, 1);
    let started = info.started as f64 / 1e9;
    let help = "When it started, seconds since the UNIX epoch.";
    single(page, "broadtape_start_time_seconds", Gauge, help, &[], started);
    let help = "1 while the feed is live and nothing drains.";
    single(page, "broadtape_ready", Gauge, help, &[], u8::from(ready));
}

fn publisher(page: &mut Exposition, feed: &FeedReport) {
    let labels: Labels<'_> = &[("feed", &feed.name), ("state", &feed.state)];
    single(page, "broadtape_feed_info", Gauge, "What is played: always 1.", labels, 1);
    let help = "Records published.";
    single(page, "broadtape_published_records_total", Counter, help, &[], feed.records);
    let help = "Bytes of records published.";
    single(page, "broadtape_published_bytes_total", Counter, help, &[], feed.bytes);
    let name = "broadtape_published_schema_records_total";
    page.family(name, Counter, "Records published, by schema.");
    for (schema, records) in &feed.records_by_schema {
        page.sample(name, &[("schema", schema.as_str())], records);
    }
    let help = "Sequence of the last record published.";
    single(page, "broadtape_published_seq", Gauge, help, &[], feed.seq);
    let help = "The most that a record was published after it was due.";
    let late = feed.late_ns_max as f64 / 1e9;
    single(page, "broadtape_feed_late_max_seconds", Gauge, help, &[], late);
    let help = "Instruments known.";
    single(page, "broadtape_instruments", Gauge, help, &[], feed.instruments);
    let name = "broadtape_book_faults_total";
    page.family(name, Counter, "Orders that the books derived from could not take as they came.");
    let faults = &feed.book_faults;
    let kinds = [
        ("unknown", faults.unknown),
        ("repeated", faults.repeated),
        ("malformed", faults.malformed),
        ("refused", faults.refused),
    ];
    for (kind, count) in kinds {
        page.sample(name, &[("kind", kind)], count);
    }
}

/// A family of one sample.
fn single(
    page: &mut Exposition,
    name: &str,
    kind: Kind,
    help: &str,
    labels: Labels<'_>,
    value: impl Display,
) {
    page.family(name, kind, help);
    page.sample(name, labels, value);
}

/// A counter with one label.
fn named(page: &mut Exposition, name: &str, help: &str, label: &str, counts: &Named) {
    page.family(name, Counter, help);
    for (value, count) in counts {
        page.sample(name, &[(label, value)], count);
    }
}

fn by_reason(
    page: &mut Exposition,
    name: &str,
    help: &str,
    shards: &[ShardReport],
    counts: fn(&ShardReport) -> &Named,
) {
    page.family(name, Counter, help);
    for shard in shards {
        for (reason, count) in counts(shard) {
            let number = shard.shard.to_string();
            page.sample(name, &[("shard", &number), ("reason", reason)], count);
        }
    }
}

/// The feed's stages once, the shards' stages by shard.
fn latency(page: &mut Exposition, feed: &FeedReport, shards: &[ShardReport]) {
    let name = "broadtape_latency_seconds";
    page.family(name, Kind::Histogram, "What a stage on the way of a record took, to within 1 %.");
    measured(feed, shards, |latency, stage, labels| {
        histogram(page, name, latency, stage, labels);
    });
    let name = "broadtape_latency_out_of_range_total";
    page.family(name, Counter, "Records whose latency was negative or above 60 s: not recorded.");
    measured(feed, shards, |latency, stage, labels| {
        page.sample(name, labels, latency.summary(stage).out_of_range);
    });
}

/// Calls `each` for every stage of everything that measures it.
fn measured(
    feed: &FeedReport,
    shards: &[ShardReport],
    mut each: impl FnMut(&Latency, Stage, Labels<'_>),
) {
    for stage in Stage::ALL {
        if stage.is_of_feed() {
            each(&feed.latency, stage, &[("stage", stage.name())]);
            continue;
        }
        for shard in shards {
            let number = shard.shard.to_string();
            each(&shard.latency, stage, &[("stage", stage.name()), ("shard", &number)]);
        }
    }
}

fn histogram(
    page: &mut Exposition,
    name: &str,
    latency: &Latency,
    stage: Stage,
    labels: Labels<'_>,
) {
    let summary = latency.summary(stage);
    let bucket = format!("{name}_bucket");
    for bound in BOUNDS {
        let le = (bound as f64 / 1e9).to_string();
        let labels = [labels, &[("le", &le)]].concat();
        page.sample(&bucket, &labels, latency.count_up_to(stage, bound));
    }
    page.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), summary.count);
    page.sample(&format!("{name}_sum"), labels, summary.sum as f64 / 1e9);
    page.sample(&format!("{name}_count"), labels, summary.count);
}
