//! How the server fares, on the pages: shards that panicked or are stuck, memory that runs short.

use std::fmt::Write;

use super::exposition::{Exposition, Kind};
use crate::node::report::{Health, ShardHealth};

use Kind::{Counter, Gauge};

/// A figure of each shard: its metric, what that is, what it counts, where the report has it.
type PerShard = (&'static str, Kind, &'static str, fn(&ShardHealth) -> u64);

#[rustfmt::skip]
const PER_SHARD: [PerShard; 3] = [
    ("broadtape_shard_restarts_total", Counter, "Times that the shard panicked and began anew.", |s| s.restarts),
    ("broadtape_shard_stalls_total", Counter, "Times that the shard was found stuck.", |s| s.stalls),
    ("broadtape_shard_stuck", Gauge, "1 while the shard makes no turns.", |s| u64::from(s.stuck)),
];

/// Its metrics.
pub(super) fn page(health: &Health) -> String {
    let mut page = Exposition::default();
    for (name, kind, help, figure) in PER_SHARD {
        page.family(name, kind, help);
        for (shard, health) in health.shards.iter().enumerate() {
            page.sample(name, &[("shard", &shard.to_string())], figure(health));
        }
    }
    let memory = &health.memory;
    page.family("broadtape_memory_bytes", Gauge, "Resident memory of the process.");
    page.sample("broadtape_memory_bytes", &[], memory.used);
    if let Some(max) = memory.max {
        page.family("broadtape_memory_max_bytes", Gauge, "Memory that it may have.");
        page.sample("broadtape_memory_max_bytes", &[], max);
    }
    let help = "1 while new clients are refused for want of memory, 2 while queues are cut short.";
    page.family("broadtape_memory_pressure", Gauge, help);
    let pressure = u8::from(memory.refusing) + u8::from(memory.shedding);
    page.sample("broadtape_memory_pressure", &[], pressure);
    page.finish()
}

/// Words about what is wrong, each behind a semicolon; none where all is well.
pub(super) fn words(health: &Health) -> String {
    let mut words = String::new();
    for (shard, _) in health.shards.iter().enumerate().filter(|(_, health)| health.stuck) {
        let _ = write!(words, "; shard {shard} is stuck");
    }
    words
}
