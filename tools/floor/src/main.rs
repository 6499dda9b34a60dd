//! `floor`: gathers its subscribers, then sends to each of them once a tick, and nothing else.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use floor::crowd::Crowd;
use floor::engine::{Engine, Kind, Turn};
use floor::framer::{Framer, Payload};
use floor::metronome::{Metronome, Tick, Wait, now};
use floor::tally::Tally;
use floor::uring::{self, RingError};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Ticks that one turn makes up for at most where it is late.
const TICKS_PER_TURN: usize = 64;
/// Records of a turn, from which on it ends with the tick it is at: their bytes stay in the
/// core's own cache while they are sent to one subscriber after the other.
const RECORDS_PER_TURN: u64 = 2_000;
/// Turns between two looks at what clients say: they cost the floor nothing that shows.
const TURNS_PER_LOOK: u64 = 64;

/// The least that a fan-out can cost: one send of the same framed bytes per connection and tick
///
/// It waits for its subscribers, then keeps time by an absolute schedule. What is due goes to each
/// of them in one send; late, it makes up for all ticks it missed. SIGTERM ends it with its counts.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// How to send
    #[arg(long, value_enum, default_value_t = Kind::Send)]
    engine: Kind,
    /// What to send
    #[arg(long, value_enum, default_value_t = Payload::Broadtape)]
    payload: Payload,
    /// Subscribers to wait for
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Records a second
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
    /// Send to so many subscribers a tick, in turn, instead of all
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    sends_per_tick: Option<u32>,
    /// Where to listen on loopback; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// How to spend the time between ticks
    #[arg(long, value_enum, default_value_t = Wait::Sleep)]
    wait: Wait,
    /// Only say whether this machine has the engine
    #[arg(long)]
    probe: bool,
}

#[derive(Debug, thiserror::Error)]
enum FloorError {
    #[error("--sends-per-tick {0} is more than --connections {1}: each gets one send a tick")]
    TooManySends(u32, u32),
    #[error("--connections {0} needs more descriptors than the system allows ({1}): ulimit -n")]
    Descriptors(u32, u64),
    #[error("can't listen on 127.0.0.1:{0}: {1}")]
    Listen(u16, io::Error),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.probe { probe(args.engine) } else { run(&args).map(|t| t.to_string()) };
    match done {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("floor: {error}");
            match error {
                FloorError::TooManySends(..) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn probe(engine: Kind) -> Result<String, FloorError> {
    if engine == Kind::Uring {
        uring::probe()?;
    }
    Ok("this machine has it".to_owned())
}

fn run(args: &Args) -> Result<Tally, FloorError> {
    let count = args.sends_per_tick.unwrap_or(args.connections);
    if count > args.connections {
        return Err(FloorError::TooManySends(count, args.connections));
    }
    reserve_descriptors(args.connections)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let listening = Crowd::listen(args.port, args.connections as usize, args.payload);
    let (mut crowd, address) = listening.map_err(|error| FloorError::Listen(args.port, error))?;
    println!("listening on http://{address}");
    if !crowd.gather(&stop)? {
        return Ok(Tally::default());
    }
    let mut engine = Engine::prepare(args.engine, &mut crowd)?;
    blast(args, count as usize, &mut crowd, &mut engine, &stop)
}

/// Descriptors beside those of the connections.
const RESERVE: u64 = 32;

fn reserve_descriptors(connections: u32) -> Result<(), FloorError> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let needed = u64::from(connections) + RESERVE;
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        let raised = setrlimit(Resource::Nofile, limit);
        raised.map_err(|_| FloorError::Descriptors(connections, most))?;
    }
    Ok(())
}

/// The work, until it is stopped or everybody has left.
fn blast(
    args: &Args,
    count: usize,
    crowd: &mut Crowd,
    engine: &mut Engine,
    stop: &AtomicBool,
) -> Result<Tally, FloorError> {
    let (mut tally, mut ticks, mut first) = (Tally::default(), Vec::new(), 0);
    let mut framer = Framer::new(args.payload);
    let mut metronome = Metronome::new(args.rate, args.wait, now());
    let all = args.connections as usize;
    // A part of the subscribers has its turn with one tick: the next belongs to others.
    let most = if count < all { 1 } else { TICKS_PER_TURN };
    let mut turns = 0u64;
    while !stop.load(Ordering::Relaxed) && !crowd.is_empty() {
        metronome.wait();
        let now = now();
        let records = collect(&mut metronome, now, most, &mut ticks);
        if let (Some(oldest), 1..) = (ticks.first(), records) {
            tally.latest = tally.latest.max(now - oldest.at);
            let turn = Turn { bytes: framer.frame(&ticks, now), records, first, count };
            engine.send(crowd, turn, &mut tally)?;
            first = (first + count) % all;
        }
        turns += 1;
        if turns.is_multiple_of(TURNS_PER_LOOK) {
            crowd.attend(framer.seq(), &mut tally)?;
        }
    }
    Ok(tally)
}

/// Collects what is due, and returns how many records that is.
fn collect(metronome: &mut Metronome, now: u64, most: usize, ticks: &mut Vec<Tick>) -> u64 {
    ticks.clear();
    let mut records = 0;
    while ticks.len() < most && records < RECORDS_PER_TURN {
        let Some(tick) = metronome.due(now) else { break };
        records += tick.records;
        ticks.push(tick);
    }
    records
}
