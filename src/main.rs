//! The command line; everything else is in the library.

use std::process::ExitCode;

use broadtape::cli::{bench, watch};
use clap::Parser;

#[derive(Parser)]
#[command(name = "broadtape", version, about = "Market-data streaming server and its tools")]
enum Command {
    Bench(bench::BenchArgs),
    Watch(watch::WatchArgs),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Bench(args) => bench::run(args),
        Command::Watch(args) => watch::run(args),
    }
}
