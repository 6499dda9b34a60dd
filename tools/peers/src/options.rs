//! What every peer is told.

use clap::Parser;

/// How much of the work, and where.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "A peer of the performance lab; tools/compare runs it")]
pub struct Options {
    /// Where to listen on loopback; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Subscribers to wait for
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: u64,
}
