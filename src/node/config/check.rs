//! Second pass: what was typed becomes plain options, or an error that says what would be right.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::auth;
use super::door;
use super::encryption;
use super::error::{ConfigError, Origin};
use super::recordings;
use super::settings::{self, Command};
use super::typed::{Given, Typed};
use crate::limits::{
    CLIENT_MESSAGE_MAX, ClientLimits, ECHO_MESSAGE_MAX, HEARTBEAT_BUSY, INSTRUMENTS_MAX,
    LISTENERS_MAX, MEMORY_MIN, QUEUE_MIN, RING_MAX, RING_MIN, SEGMENT_BYTES, SHARDS_MAX,
    SIM_RATE_MAX, SIM_SYMBOLS_MAX, SUBSCRIPTIONS_MAX,
};
use crate::node::options::{
    Durability, EngineChoice, FeedOptions, LogFormat, LogOptions, MemoryMax, Options,
    RecordOptions, RecordingsOptions, Speed, Start,
};
use crate::node::units;

const MICROSECOND: Duration = Duration::from_micros(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A server's options.
///
/// # Errors
/// [`ConfigError`]: the first value that is wrong.
pub(super) fn options(typed: &Typed) -> Result<Options, ConfigError> {
    let shards = one(typed, "shards", shards)?;
    let record = record(typed)?;
    if record.is_some() && shards == SHARDS_MAX {
        let Given { texts, origin } = get(typed, "shards");
        let reason = format!("with record, it is at most {}", SHARDS_MAX - 1);
        return Err(bad("shards", texts.join(","), origin, &reason));
    }
    let admin_listen = auth::admin_listen(typed)?;
    let (listen, tls) = (listen(typed)?, encryption::tls(typed)?);
    encryption::exposed(typed, "listen", &listen, tls.is_some())?;
    encryption::exposed(typed, "admin_listen", admin_listen.as_slice(), tls.is_some())?;
    Ok(Options {
        record,
        recordings: recordings(typed)?,
        auth: auth::options(typed, &listen, admin_listen)?,
        listen,
        tls,
        shards,
        ring_bytes: size(typed, "ring", RING_MIN..=RING_MAX)?,
        start: one(typed, "start", start)?,
        busy: one(typed, "busy", switch)?,
        pin: one(typed, "pin", |text| if text == "auto" { Ok(shards > 1) } else { switch(text) })?,
        engine: one(typed, "engine", engine)?,
        flush_interval: one(typed, "flush_interval", flush_interval)?,
        drain: time(typed, "drain", Duration::ZERO..=HOUR)?,
        upgrade: one(typed, "upgrade", |text| match text {
            "" => Err("it is the path of a Unix socket, or none"),
            "none" => Ok(None),
            path => Ok(Some(PathBuf::from(path))),
        })?,
        handshake: time(typed, "handshake_timeout", Duration::from_millis(100)..=MINUTE)?,
        memory: memory(typed)?,
        enable_echo: one(typed, "enable_echo", switch)?,
        door: door::rules(typed)?,
        deny_file: one(typed, "deny_file", file)?,
        admin_listen,
        public_metrics: one(typed, "public_metrics", |text| match text {
            "auto" => Ok(admin_listen.is_none()),
            _ => switch(text).map_err(|error| format!("{error}, or auto")),
        })?,
        clients: clients(typed)?,
    })
}

/// What clients may have replayed besides, where anything is.
fn recordings(typed: &Typed) -> Result<Option<RecordingsOptions>, ConfigError> {
    let path = |key, without: &'static str| {
        one(typed, key, |text| match text {
            "" => Err(format!("it is the path of a folder, or {without}")),
            _ if text == without => Ok(None),
            path => Ok(Some(PathBuf::from(path))),
        })
    };
    let (folder, cache) = (path("recordings", "none")?, path("recordings_cache", "auto")?);
    Ok(folder.map(|folder| RecordingsOptions { folder, cache }))
}

/// What memory the process may have: more than its ring takes.
fn memory(typed: &Typed) -> Result<MemoryMax, ConfigError> {
    let least = size(typed, "ring", RING_MIN..=RING_MAX)?.saturating_add(MEMORY_MIN);
    one(typed, "memory_max", |text| match text {
        "auto" => Ok(MemoryMax::Auto),
        "none" => Ok(MemoryMax::None),
        _ => match units::bytes(text) {
            Err(error) => Err(format!("{error}, or auto, or none")),
            Ok(bytes) if bytes >= least => Ok(MemoryMax::Bytes(bytes as u64)),
            Ok(_) => Err(format!("with this ring, it is at least {least} bytes")),
        },
    })
}

/// What is recorded, where anything is.
fn record(typed: &Typed) -> Result<Option<RecordOptions>, ConfigError> {
    let folder = one(typed, settings::RECORD, |text| match text {
        "" => Err("it is the path of a folder, or none"),
        "none" => Ok(None),
        path => Ok(Some(PathBuf::from(path))),
    })?;
    let (_, least, most) = SEGMENT_BYTES;
    let options = RecordOptions {
        folder: folder.clone().unwrap_or_default(),
        durability: one(typed, "durability", durability)?,
        segment_bytes: size(typed, "segment_bytes", least..=most)? as u64,
        segment_time: time(typed, "segment_time", SECOND..=24 * 7 * HOUR)?,
        retain_bytes: or_none(typed, "retain_bytes", |text| match units::bytes(text) {
            Err(error) => Err(error.to_string()),
            Ok(bytes) if bytes >= least => Ok(bytes as u64),
            Ok(_) => Err(format!("it is at least {least} bytes")),
        })?,
        retain_time: or_none(typed, "retain_time", |text| match units::duration(text) {
            Err(error) => Err(error.to_string()),
            Ok(time) if time >= SECOND => Ok(time),
            Ok(_) => Err(format!("it is at least {SECOND:?}")),
        })?,
        compress: one(typed, "record_compress", switch)?,
    };
    Ok(folder.map(|_| options))
}

fn durability(text: &str) -> Result<Durability, &'static str> {
    let wrong = "it is none, commit, or interval=TIME with TIME from 1ms to 1h";
    match text.split_once('=') {
        None if text == "none" => Ok(Durability::None),
        None if text == "commit" => Ok(Durability::Commit),
        Some(("interval", time)) => match units::duration(time).map_err(|_| wrong)? {
            time if (1000 * MICROSECOND..=HOUR).contains(&time) => Ok(Durability::Interval(time)),
            _ => Err(wrong),
        },
        _ => Err(wrong),
    }
}

/// A value that may be `none`.
pub(super) fn or_none<T>(
    typed: &Typed,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    one(typed, key, |text| match text {
        "none" => Ok(None),
        _ => parse(text).map(Some).map_err(|error| format!("{error}, or none")),
    })
}

fn clients(typed: &Typed) -> Result<ClientLimits, ConfigError> {
    let ping = time(typed, "ping", Duration::from_millis(100)..=HOUR)?;
    let pong_timeout = time(typed, "pong_timeout", Duration::from_millis(100)..=2 * HOUR)?;
    if pong_timeout <= ping {
        let Given { texts, origin } = get(typed, "pong_timeout");
        let reason = format!("it has to be longer than ping ({ping:?})");
        return Err(bad("pong_timeout", texts.join(","), origin, &reason));
    }
    Ok(ClientLimits {
        queue: size(typed, "queue", QUEUE_MIN..=1 << 30)?,
        heartbeat: time(typed, "heartbeat", Duration::from_millis(10)..=HEARTBEAT_BUSY)?,
        ping,
        pong_timeout,
        message_max: size(typed, "message_max", CLIENT_MESSAGE_MAX / 64..=ECHO_MESSAGE_MAX)?,
        rate: number(typed, "message_rate", 1..=1_000_000)?,
        burst: number(typed, "message_burst", 1..=1_000_000)?,
        symbols: number(typed, "symbols_per_request", 1..=INSTRUMENTS_MAX)?,
        subscriptions: number(typed, "subscriptions", 1..=SUBSCRIPTIONS_MAX)?,
    })
}

/// The scenario that is no market: evenly paced trades.
const METRONOME: &str = "metronome";

/// What the command plays.
///
/// # Errors
/// [`ConfigError`]: the first value that is wrong.
pub(super) fn feed(typed: &Typed, command: Command) -> Result<FeedOptions, ConfigError> {
    if command == Command::Replay {
        return recordings::replay(typed);
    }
    if let Some(feed) = recordings::feed(typed)? {
        return Ok(feed);
    }
    let symbols = number(typed, "symbols", 1..=SIM_SYMBOLS_MAX)?;
    let rate = number(typed, "rate", 1..=SIM_RATE_MAX)?;
    let scenario = one(typed, "scenario", |text| match text {
        "" => Err("it is the name of a scenario or the path of its file"),
        _ => Ok(text.to_owned()),
    })?;
    if scenario == METRONOME {
        return Ok(FeedOptions::Metronome { symbols, rate });
    }
    Ok(FeedOptions::Sim { scenario, symbols, rate, seed: number(typed, "seed", 0..=u64::MAX)? })
}

/// What is logged; the filter is checked where it is used.
///
/// # Errors
/// [`ConfigError::BadValue`].
pub(super) fn log(typed: &Typed) -> Result<LogOptions, ConfigError> {
    let filter = one(typed, "log", |text| Ok::<_, &str>(text.to_owned()))?;
    let format = one(typed, "log_format", |text| match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("it is text, json or auto"),
    })?;
    Ok(LogOptions { filter, format })
}

/// Cores that this process may run on: its inherited CPU mask, within its cgroup's quota.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn shards(text: &str) -> Result<usize, String> {
    match text {
        "auto" => Ok((cores() - 1).clamp(1, SHARDS_MAX)),
        _ => within(text, 1..=SHARDS_MAX).map_err(|error| format!("{error}, or auto")),
    }
}

fn engine(text: &str) -> Result<EngineChoice, &'static str> {
    match text {
        "auto" => Ok(EngineChoice::Auto),
        "epoll" => Ok(EngineChoice::Epoll),
        "uring" => Ok(EngineChoice::Uring),
        _ => Err("it is epoll, uring or auto"),
    }
}

fn flush_interval(text: &str) -> Result<Option<Duration>, String> {
    match units::duration(text).map_err(|error| format!("{error}, or 0"))? {
        Duration::ZERO => Ok(None),
        time if (MICROSECOND..=SECOND).contains(&time) => Ok(Some(time)),
        _ => Err(format!("it is 0, or from {MICROSECOND:?} to {SECOND:?}")),
    }
}

fn start(text: &str) -> Result<Start, &'static str> {
    let wrong = "it is now, on-subscribe, or on-subscribe=N with N from 1 to 1000000";
    match text.split_once('=') {
        None if text == "now" => Ok(Start::Now),
        None if text == "on-subscribe" => Ok(Start::OnSubscribe(1)),
        Some(("on-subscribe", n)) => {
            within(n, 1..=1_000_000).map(Start::OnSubscribe).map_err(|_| wrong)
        }
        _ => Err(wrong),
    }
}

pub(super) fn speed(text: &str) -> Result<Speed, &'static str> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse() {
        Ok(times) if (0.01..=1000.0).contains(&times) => Ok(Speed::Times(times)),
        _ => Err("it is a number from 0.01 to 1000, or max"),
    }
}

fn listen(typed: &Typed) -> Result<Vec<SocketAddr>, ConfigError> {
    let Given { texts, origin } = get(typed, "listen");
    if texts.is_empty() {
        return Err(bad("listen", String::new(), origin, "it needs at least one ADDR:PORT"));
    }
    let mut all: Vec<SocketAddr> = Vec::with_capacity(texts.len());
    for text in texts {
        let wrong = |reason: &str| bad("listen", text.clone(), origin.clone(), reason);
        let address = text.parse().map_err(|_| {
            wrong("it is an address and a port, such as 127.0.0.1:8080 or [::]:8080")
        })?;
        if all.len() == LISTENERS_MAX {
            return Err(wrong(&format!("more than {LISTENERS_MAX} are given")));
        }
        if address_repeats(&all, address) {
            return Err(wrong("it is given twice"));
        }
        all.push(address);
    }
    Ok(all)
}

pub(super) fn file(text: &str) -> Result<Option<PathBuf>, &'static str> {
    match text {
        "" => Err("it is the path of a file, or none"),
        "none" => Ok(None),
        path => Ok(Some(PathBuf::from(path))),
    }
}

/// Port 0 may stand any number of times: each gets its own.
fn address_repeats(all: &[SocketAddr], address: SocketAddr) -> bool {
    address.port() != 0 && all.contains(&address)
}

pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("it is true or false"),
    }
}

fn number<T>(typed: &Typed, key: &'static str, range: RangeInclusive<T>) -> Result<T, ConfigError>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    one(typed, key, |text| within(text, range.clone()))
}

pub(super) fn within<T>(text: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    match text.replace('_', "").parse() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(format!("it is a whole number from {} to {}", range.start(), range.end())),
    }
}

fn size(
    typed: &Typed,
    key: &'static str,
    range: RangeInclusive<usize>,
) -> Result<usize, ConfigError> {
    one(typed, key, |text| match units::bytes(text) {
        Err(error) => Err(error.to_string()),
        Ok(bytes) if range.contains(&bytes) => Ok(bytes),
        Ok(_) => Err(format!("it is from {} to {} bytes", range.start(), range.end())),
    })
}

pub(super) fn time(
    typed: &Typed,
    key: &'static str,
    range: RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    one(typed, key, |text| match units::duration(text) {
        Err(error) => Err(error.to_string()),
        Ok(time) if range.contains(&time) => Ok(time),
        Ok(_) => Err(format!("it is from {:?} to {:?}", range.start(), range.end())),
    })
}

/// The value of a setting that has one, parsed.
pub(super) fn one<T, E: Display>(
    typed: &Typed,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    let Given { mut texts, origin } = get(typed, key);
    let text = texts.pop().unwrap_or_default();
    parse(text.trim()).map_err(|reason| bad(key, text.clone(), origin, &reason.to_string()))
}

pub(super) fn get(typed: &Typed, key: &'static str) -> Given {
    settings::find(key).map_or_else(
        || Given { texts: Vec::new(), origin: Origin::Default },
        |setting| typed.get(setting),
    )
}

pub(super) fn bad(key: &'static str, value: String, origin: Origin, reason: &str) -> ConfigError {
    ConfigError::BadValue { origin, key, value, reason: reason.to_owned() }
}
