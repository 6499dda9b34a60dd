//! `/v1/status` and `/v1/latency`: what the live page draws.

use serde::Serialize;

use super::decimal::Decimal;
use super::tape::Recorder;
use crate::clock::unix_now;
use crate::latency::{Latency, Stage, Summary};
use crate::node::report::{FeedReport, Info, ShardReport, Status};
use crate::wire::record::Schema;

#[derive(Serialize)]
struct Overview<'a> {
    version: &'a str,
    epoch: Decimal,
    started: Decimal,
    server_time: Decimal,
    listen: Vec<String>,
    /// Why it is not ready; null where it is.
    not_ready: Option<String>,
    feed: Feed<'a>,
    /// Null where nothing is recorded.
    recorder: Option<Recorder>,
    shards: Vec<Shard>,
    latency: Vec<Line>,
}

#[derive(Serialize)]
struct Feed<'a> {
    name: &'a str,
    state: &'a str,
    seq: Decimal,
    records: Decimal,
    bytes: Decimal,
    late_ns_max: Decimal,
    instruments: Decimal,
    schemas: Vec<SchemaCount>,
}

#[derive(Serialize)]
struct SchemaCount {
    schema: &'static str,
    records: Decimal,
}

#[derive(Serialize)]
struct Shard {
    shard: usize,
    connections: Decimal,
    subscriptions: Decimal,
    records: Decimal,
    bytes: Decimal,
    queued_bytes: Decimal,
    conflated: Decimal,
    dropped: Decimal,
    gaps: Decimal,
    overrun: Decimal,
    lag_records: Decimal,
}

/// What a stage took; times in ns.
#[derive(Serialize)]
struct Line {
    stage: &'static str,
    count: Decimal,
    p50: Decimal,
    p90: Decimal,
    p99: Decimal,
    #[serde(rename = "p99.9")]
    p999: Decimal,
    #[serde(rename = "p99.99")]
    p9999: Decimal,
    max: Decimal,
    out_of_range: Decimal,
}

#[derive(Serialize)]
struct Stages {
    stages: Vec<Full>,
}

#[derive(Serialize)]
struct Full {
    #[serde(flatten)]
    all: Measured,
    /// Empty for the stages of the feed.
    shards: Vec<OfShard>,
}

#[derive(Serialize)]
struct OfShard {
    shard: usize,
    #[serde(flatten)]
    measured: Measured,
}

#[derive(Serialize)]
struct Measured {
    #[serde(flatten)]
    line: Line,
    histogram: Option<String>,
}

/// `/v1/status`
pub(super) async fn status(status: &impl Status) -> Vec<u8> {
    let (feed, shards) = (status.feed().await, status.shards().await);
    let Info { version, epoch, started, listen } = status.info();
    let latency = merged(&feed, &shards);
    super::json(&Overview {
        version,
        epoch: Decimal(*epoch),
        started: Decimal(*started),
        server_time: Decimal(unix_now()),
        listen: listen.iter().map(ToString::to_string).collect(),
        not_ready: status.readiness().err(),
        feed: feed_of(&feed),
        recorder: status.recorder().map(|recorder| super::tape::overview(&recorder)),
        shards: shards.iter().map(shard_of).collect(),
        latency: Stage::ALL.map(|stage| line(stage, latency.summary(stage))).into(),
    })
}

/// `/v1/latency`
pub(super) async fn latency(status: &impl Status) -> Vec<u8> {
    let (feed, shards) = (status.feed().await, status.shards().await);
    let all = merged(&feed, &shards);
    let stages = Stage::ALL.map(|stage| {
        let measuring = if stage.is_of_feed() { &[][..] } else { &shards };
        let of_shard = |shard: &ShardReport| OfShard {
            shard: shard.shard,
            measured: measured(&shard.latency, stage),
        };
        Full { all: measured(&all, stage), shards: measuring.iter().map(of_shard).collect() }
    });
    super::json(&Stages { stages: stages.into() })
}

fn merged(feed: &FeedReport, shards: &[ShardReport]) -> Latency {
    let mut all = feed.latency.clone();
    shards.iter().for_each(|shard| all.merge(&shard.latency));
    all
}

fn measured(latency: &Latency, stage: Stage) -> Measured {
    Measured { line: line(stage, latency.summary(stage)), histogram: latency.encode(stage) }
}

fn line(stage: Stage, summary: Summary) -> Line {
    Line {
        stage: stage.name(),
        count: Decimal(summary.count),
        p50: Decimal(summary.p50),
        p90: Decimal(summary.p90),
        p99: Decimal(summary.p99),
        p999: Decimal(summary.p999),
        p9999: Decimal(summary.p9999),
        max: Decimal(summary.max),
        out_of_range: Decimal(summary.out_of_range),
    }
}

fn feed_of(feed: &FeedReport) -> Feed<'_> {
    let count = |&(schema, records): &(Schema, u64)| SchemaCount {
        schema: schema.as_str(),
        records: Decimal(records),
    };
    Feed {
        name: &feed.name,
        state: &feed.state,
        seq: Decimal(feed.seq),
        records: Decimal(feed.records),
        bytes: Decimal(feed.bytes),
        late_ns_max: Decimal(feed.late_ns_max),
        instruments: Decimal(feed.instruments),
        schemas: feed.records_by_schema.iter().map(count).collect(),
    }
}

fn shard_of(report: &ShardReport) -> Shard {
    Shard {
        shard: report.shard,
        connections: Decimal(report.connections),
        subscriptions: Decimal(report.subscriptions),
        records: Decimal(report.records),
        bytes: Decimal(report.bytes),
        queued_bytes: Decimal(report.queued_bytes),
        conflated: Decimal(report.conflated),
        dropped: Decimal(report.dropped),
        gaps: Decimal(report.gaps),
        overrun: Decimal(report.overrun),
        lag_records: Decimal(report.lag_records),
    }
}
