//! A scenario as typed: the keys of its TOML. The shipped files explain each of them.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::limits::SCENARIO_TIME_MAX;

/// The whole text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    pub(super) about: String,
    pub(super) repeat: Option<Millis>,
    #[serde(default)]
    pub(super) market: Market,
    #[serde(default)]
    pub(super) arrivals: Arrivals,
    pub(super) open: Option<Open>,
    #[serde(default, rename = "phase")]
    pub(super) phases: Vec<Phase>,
    #[serde(default, rename = "halt")]
    pub(super) halts: Vec<Halt>,
    #[serde(default, rename = "stall")]
    pub(super) stalls: Vec<Stall>,
    #[serde(default, rename = "burst")]
    pub(super) bursts: Vec<Burst>,
    #[serde(default, rename = "gap")]
    pub(super) gaps: Vec<Gap>,
}

/// How the market is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Market {
    pub(super) zipf: f64,
    pub(super) trades: f64,
    pub(super) volatility: f64,
}

impl Default for Market {
    fn default() -> Self {
        Self { zipf: 1.0, trades: 0.15, volatility: 1.0 }
    }
}

/// How its events cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Arrivals {
    pub(super) echo: f64,
    pub(super) memory: Millis,
    pub(super) shocks: f64,
    pub(super) shock_share: f64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { echo: 0.6, memory: Millis(50), shocks: 2.0, shock_share: 0.2 }
    }
}

/// The rush at the start, which fades.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    pub(super) rate: f64,
    pub(super) volatility: f64,
    pub(super) fade: Millis,
}

/// A stretch of other weather.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Phase {
    pub(super) at: Millis,
    pub(super) r#for: Millis,
    #[serde(default = "one")]
    pub(super) rate: f64,
    #[serde(default = "one")]
    pub(super) volatility: f64,
    pub(super) level: Option<f64>,
}

/// A stop of trading, said by status records.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Halt {
    pub(super) at: Millis,
    pub(super) r#for: Millis,
    pub(super) reason: Reason,
    pub(super) symbols: Option<Vec<String>>,
    pub(super) busiest: Option<u32>,
}

/// Why trading stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    News,
    Luld,
    CircuitBreaker,
}

/// Nothing comes, and nothing says why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stall {
    pub(super) at: Millis,
    pub(super) r#for: Millis,
}

/// More than the market has ever brought.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Burst {
    pub(super) at: Millis,
    pub(super) r#for: Millis,
    pub(super) times: f64,
}

/// Messages that the venue numbered and that never arrive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gap {
    pub(super) at: Millis,
    pub(super) missing: u32,
}

/// A time or a duration in a scenario: `"500ms"`, `"10s"`, `"2m"`, `"1h"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millis(pub(super) u64);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let parsed = number.parse::<u64>().ok().zip(millis);
        let product = parsed.and_then(|(number, millis)| number.checked_mul(millis));
        let most = SCENARIO_TIME_MAX.as_millis() as u64;
        product.filter(|millis| *millis <= most).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no time: a whole number and ms, s, m or h, up to 24h, such as \"10s\""
            ))
        })
    }
}

fn one() -> f64 {
    1.0
}

/// A value that makes no sense.
pub(super) struct Wrong {
    pub(super) key: String,
    pub(super) was: String,
    pub(super) right: String,
}
