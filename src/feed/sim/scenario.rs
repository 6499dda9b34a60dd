//! Scenarios: what a simulated market goes through, as a strict TOML text (`feeds/*.toml`).

use std::path::Path;

use super::text::{Text, Wrong};
use crate::limits::SCENARIO_BYTES_MAX;
use crate::wire::file::text_within;

/// The scenarios that come with the program: name and text.
const SHIPPED: [(&str, &str); 5] = [
    ("calm", include_str!("../../../feeds/calm.toml")),
    ("open", include_str!("../../../feeds/open.toml")),
    ("halt", include_str!("../../../feeds/halt.toml")),
    ("crash", include_str!("../../../feeds/crash.toml")),
    ("burst", include_str!("../../../feeds/burst.toml")),
];

/// Why there is no such market.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No shipped scenario has this name.
    #[error("no scenario {0:?}: it is calm, open, halt, crash, burst, metronome, or a file's path")]
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
        let most = SCENARIO_BYTES_MAX;
        let text = text_within(path, most).map_err(|e| unreadable(e.to_string()))?;
        let text = text
            .ok_or_else(|| unreadable(format!("longer than {most} bytes, the most it may be")))?;
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
