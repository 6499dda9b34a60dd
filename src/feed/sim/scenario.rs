//! Scenarios: what a simulated market goes through, as a strict TOML text (`feeds/*.toml`).

use std::ops::RangeInclusive;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::limits::SCENARIO_ENTRIES_MAX;

/// The scenarios that come with the program: name and text.
const SHIPPED: [(&str, &str); 5] = [
    ("calm", include_str!("../../../feeds/calm.toml")),
    ("open", include_str!("../../../feeds/open.toml")),
    ("halt", include_str!("../../../feeds/halt.toml")),
    ("crash", include_str!("../../../feeds/crash.toml")),
    ("burst", include_str!("../../../feeds/burst.toml")),
];
/// The longest time that a scenario can name.
const MILLIS_MAX: u64 = 24 * 3_600_000;
/// Bytes of a scenario file at most.
const FILE_MAX: u64 = 1 << 20;

/// Why there is no such market.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No shipped scenario has this name.
    #[error("no scenario {0:?}: it is calm, open, halt, crash, burst, or a file's path")]
    Unknown(String),
    /// The file can't be read.
    #[error("scenario {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Not the TOML that a scenario is.
    #[error("scenario {name}: {reason}")]
    Syntax {
        /// The scenario.
        name: String,
        /// Line, key, what it was, what would be right.
        reason: String,
    },
    /// A value that makes no sense.
    #[error("scenario {name}: {key} is {was}; it has to be {right}")]
    Value {
        /// The scenario.
        name: String,
        /// Which value.
        key: String,
        /// What it was.
        was: String,
        /// What would be right.
        right: String,
    },
    /// A number of symbols or a rate that the simulator has no room for.
    #[error("{what} is {was}; it has to be from 1 to {most}")]
    Size {
        /// Which option.
        what: &'static str,
        /// What it was.
        was: u64,
        /// The most that it can be.
        most: u64,
    },
}

/// What a market goes through. Times are milliseconds since its start.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(super) name: String,
    pub(super) text: Text,
}

impl Scenario {
    /// A scenario that comes with the program: `calm`, `open`, `halt`, `crash` or `burst`.
    ///
    /// # Errors
    /// [`ScenarioError::Unknown`].
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        let shipped = SHIPPED.iter().find(|(known, _)| *known == name);
        let (_, text) = shipped.ok_or_else(|| ScenarioError::Unknown(name.to_owned()))?;
        Self::parse(name, text)
    }

    /// A scenario from a TOML file of at most 1 MiB.
    ///
    /// # Errors
    /// [`ScenarioError`]: unreadable, not a scenario, or with a value that makes no sense.
    pub fn from_file(path: &Path) -> Result<Self, ScenarioError> {
        let unreadable = |reason: String| {
            let path = path.display().to_string();
            ScenarioError::Unreadable { path, reason }
        };
        let meta = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
        if meta.len() > FILE_MAX {
            let bytes = meta.len();
            return Err(unreadable(format!("{bytes} bytes, and {FILE_MAX} is the most")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        Self::parse(&name, &text)
    }

    /// A scenario from its TOML text.
    ///
    /// # Errors
    /// As [`Scenario::from_file`].
    pub fn parse(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let name = name.to_owned();
        let text: Text = toml::from_str(text).map_err(|e| {
            let reason = e.to_string().trim_end().to_owned();
            ScenarioError::Syntax { name: name.clone(), reason }
        })?;
        match text.check() {
            Ok(()) => Ok(Self { name, text }),
            Err(Wrong { key, was, right }) => Err(ScenarioError::Value { name, key, was, right }),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One sentence for people.
    pub fn about(&self) -> &str {
        &self.text.about
    }
}

/// A scenario as typed. `feeds/README.md` and the shipped files say what each key means.
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
        product.filter(|&ms| ms <= MILLIS_MAX).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no time: a whole number and ms, s, m or h, up to 24h, such as \"10s\""
            ))
        })
    }
}

fn one() -> f64 {
    1.0
}

/// A value that makes no sense, without the scenario's name.
struct Wrong {
    key: String,
    was: String,
    right: String,
}

impl Text {
    fn check(&self) -> Result<(), Wrong> {
        within("market.zipf", self.market.zipf, 0.0..=3.0)?;
        within("market.trades", self.market.trades, 0.0..=1.0)?;
        within("market.volatility", self.market.volatility, 0.1..=10.0)?;
        within("arrivals.echo", self.arrivals.echo, 0.0..=0.9)?;
        within("arrivals.memory (ms)", self.arrivals.memory.0 as f64, 1.0..=10_000.0)?;
        within("arrivals.shocks", self.arrivals.shocks, 0.0..=100.0)?;
        within("arrivals.shock_share", self.arrivals.shock_share, 0.0..=0.9)?;
        if let Some(open) = &self.open {
            within("open.rate", open.rate, 1.0..=100.0)?;
            within("open.volatility", open.volatility, 1.0..=10.0)?;
            within("open.fade (ms)", open.fade.0 as f64, 1.0..=3_600_000.0)?;
        }
        if let Some(repeat) = self.repeat {
            within("repeat (ms)", repeat.0 as f64, 1_000.0..=MILLIS_MAX as f64)?;
        }
        self.check_phases()?;
        self.check_halts()?;
        self.check_faults()
    }

    fn check_phases(&self) -> Result<(), Wrong> {
        let spans = self.phases.iter().map(|p| (p.at, p.r#for));
        self.check_spans("phase", spans)?;
        for (n, phase) in self.phases.iter().enumerate() {
            within(&format!("phase[{n}].rate"), phase.rate, 0.0..=100.0)?;
            within(&format!("phase[{n}].volatility"), phase.volatility, 0.1..=10.0)?;
            let level = phase.level.unwrap_or(1.0);
            within(&format!("phase[{n}].level"), level, 0.2..=5.0)?;
        }
        Ok(())
    }

    fn check_halts(&self) -> Result<(), Wrong> {
        self.check_spans("halt", self.halts.iter().map(|h| (h.at, h.r#for)))?;
        for (n, halt) in self.halts.iter().enumerate() {
            if let Some(busiest) = halt.busiest {
                within(&format!("halt[{n}].busiest"), f64::from(busiest), 1.0..=20_000.0)?;
            }
            let named = halt.symbols.as_ref().map(Vec::len);
            let right = match (named, halt.busiest) {
                (Some(_), Some(_)) => "one of symbols and busiest, or neither for the whole market",
                (Some(0), None) => "at least one symbol, or left out for the whole market",
                (Some(_), None) if halt.reason == Reason::CircuitBreaker => {
                    "left out where the reason is circuit-breaker, which stops the whole market"
                }
                _ => continue,
            };
            let was = format!("{:?}", halt.symbols.as_deref().unwrap_or_default());
            let key = format!("halt[{n}].symbols");
            return Err(Wrong { key, was, right: right.to_owned() });
        }
        Ok(())
    }

    fn check_faults(&self) -> Result<(), Wrong> {
        self.check_spans("stall", self.stalls.iter().map(|s| (s.at, s.r#for)))?;
        self.check_spans("burst", self.bursts.iter().map(|b| (b.at, b.r#for)))?;
        self.check_spans("gap", self.gaps.iter().map(|g| (g.at, Millis(1))))?;
        for (n, burst) in self.bursts.iter().enumerate() {
            within(&format!("burst[{n}].times"), burst.times, 1.0..=100.0)?;
        }
        for (n, gap) in self.gaps.iter().enumerate() {
            within(&format!("gap[{n}].missing"), f64::from(gap.missing), 1.0..=1e6)?;
        }
        Ok(())
    }

    /// Entries of one kind are in order, apart from each other, and over before the story repeats.
    fn check_spans(
        &self,
        kind: &str,
        spans: impl ExactSizeIterator<Item = (Millis, Millis)>,
    ) -> Result<(), Wrong> {
        within(&format!("the number of {kind}s"), spans.len() as f64, 0.0..=ENTRIES)?;
        let mut free = 0;
        for (n, (at, span)) in spans.enumerate() {
            within(&format!("{kind}[{n}].for (ms)"), span.0 as f64, 1.0..=MILLIS_MAX as f64)?;
            let from = format!("{kind}[{n}].at (ms)");
            within(&from, at.0 as f64, free as f64..=MILLIS_MAX as f64)?;
            free = at.0 + span.0;
            if let Some(repeat) = self.repeat {
                let end = format!("the end of {kind}[{n}] (ms)");
                within(&end, free as f64, 0.0..=repeat.0 as f64)?;
            }
        }
        Ok(())
    }
}

const ENTRIES: f64 = SCENARIO_ENTRIES_MAX as f64;

/// NaN is within nothing.
fn within(key: &str, was: f64, right: RangeInclusive<f64>) -> Result<(), Wrong> {
    if right.contains(&was) {
        return Ok(());
    }
    let right = format!("from {} to {}", right.start(), right.end());
    Err(Wrong { key: key.to_owned(), was: was.to_string(), right })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Scenario::parse("mine", &format!("about = 'x'\n{text}")).unwrap_err().to_string()
    }

    #[test]
    fn shipped_scenarios_are_sound() {
        for (name, _) in SHIPPED {
            let scenario = Scenario::named(name).unwrap();
            assert!(scenario.name() == name && !scenario.about().is_empty());
        }
        let unknown = Scenario::named("war").unwrap_err().to_string();
        assert!(unknown.contains("\"war\"") && unknown.contains("crash"), "{unknown}");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let cases = [
            ("[market]\nzipp = 1.0", "zipp", "zipf"),
            ("[market]\nzipf = 'much'", "line 3", "expected f64"),
            ("[market]\nzipf = 9.0", "market.zipf is 9", "from 0 to 3"),
            ("[market]\ntrades = nan", "market.trades is NaN", "from 0 to 1"),
            ("[[stall]]\nat = '5 apples'\nfor = '1s'", "5 apples", "such as \"10s\""),
            ("[[stall]]\nat = '9999999999999999999h'\nfor = '1s'", "9999", "up to 24h"),
            ("[[stall]]\nat = '1s'\nfor = '0s'", "stall[0].for (ms) is 0", "from 1 to"),
            ("[[stall]]\nat = '1s'", "line 2", "missing field `for`"),
            ("repeat = '5s'\n[[gap]]\nat = '6s'\nmissing = 1", "gap[0] (ms) is 6001", "to 5000"),
            ("[[gap]]\nat = '6s'\nmissing = 0", "gap[0].missing is 0", "from 1 to 1000000"),
            ("[[halt]]\nat='1s'\nfor='1s'\nreason='whim'", "whim", "circuit-breaker"),
            (
                "[[halt]]\nat='1s'\nfor='1s'\nreason='news'\nsymbols=['A']\nbusiest=1",
                "halt[0].symbols is [\"A\"]",
                "one of symbols and busiest",
            ),
            (
                "[[phase]]\nat='1s'\nfor='5s'\n[[phase]]\nat='2s'\nfor='1s'",
                "phase[1].at (ms) is 2000",
                "from 6000",
            ),
        ];
        for (text, wrong, right) in cases {
            let said = refused(text);
            assert!(said.starts_with("scenario mine: "), "{said}");
            assert!(said.contains(wrong) && said.contains(right), "{text}\n{said}");
        }
    }

    #[test]
    fn a_file_is_read_and_one_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let missing = Scenario::from_file(&path).unwrap_err().to_string();
        assert!(missing.contains("mine.toml"), "{missing}");
        std::fs::write(&path, "about = 'mine'").unwrap();
        let scenario = Scenario::from_file(&path).unwrap();
        assert_eq!((scenario.name(), scenario.about()), ("mine", "mine"));
    }
}
