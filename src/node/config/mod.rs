//! Configuration: flags over environment over file over defaults, in two passes: as typed, checked.
//!
//! [`settings`] is the table that everything follows from: a row there is a flag, a variable, a key
//! of the file and a line of `--print-config`. [`Config`] is gone once the program runs: its parts
//! are plain [`options`](super::options).

mod auth;
mod check;
mod door;
mod encryption;
mod error;
mod recordings;
pub mod settings;
mod typed;

pub use error::{ConfigError, Origin};
pub use typed::{Flags, Given};

use std::fmt::Write;
use std::path::Path;

use super::options::{FeedOptions, LogOptions, Options};
use settings::{Command, Form, Setting};
use typed::Typed;

/// A checked configuration, and where its values came from.
#[derive(Debug)]
pub struct Config {
    /// What a server is run with.
    pub options: Options,
    /// What it plays.
    pub feed: FeedOptions,
    /// What is logged.
    pub log: LogOptions,
    /// What is odd but no error.
    pub warnings: Vec<String>,
    effective: Vec<(&'static Setting, Given)>,
    command: Command,
}

impl Config {
    /// Puts a command's configuration together. `environment` is all of it: what is not ours is
    /// skipped.
    ///
    /// # Errors
    /// [`ConfigError`]: what is wrong first, where it came from, what would be right.
    pub fn load(
        command: Command,
        flags: Flags,
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let mut typed = Typed::default();
        if let Some(path) = file {
            typed.add_file(path)?;
        }
        typed.add_environment(environment)?;
        typed.add_flags(flags);
        let options = check::options(&typed)?;
        if command == Command::Record && options.record.is_none() {
            return Err(ConfigError::NoFolder);
        }
        Ok(Self {
            options,
            feed: check::feed(&typed, command)?,
            log: check::log(&typed)?,
            effective: command.settings().map(|setting| (setting, typed.get(setting))).collect(),
            warnings: typed.warnings,
            command,
        })
    }

    /// The effective configuration as TOML, each value with where it came from: as a file it gives
    /// the same configuration again.
    pub fn to_toml(&self) -> String {
        let name = self.command.name();
        let mut text = format!("# broadtape {name}: flags > BROADTAPE_* > this file > defaults\n");
        let mut group = None;
        for (setting, given) in &self.effective {
            if group.replace(setting.group) != Some(setting.group) {
                let _ = write!(text, "\n# {}\n", setting.group.heading());
            }
            let line = format!("{} = {}", setting.key, self.value(setting, given));
            let _ = writeln!(text, "{line:<36} # {}", self.origin(setting, given));
        }
        text
    }

    /// A value in TOML; of what was left to the program, what it chose.
    fn value(&self, setting: &Setting, given: &Given) -> String {
        let text = given.texts.last().map_or("", |text| text.trim());
        match (setting.key, setting.form) {
            ("shards", _) => self.options.shards.to_string(),
            ("pin", _) => self.options.pin.to_string(),
            (_, Form::List) => {
                let items: Vec<_> = given.texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", items.join(", "))
            }
            (_, Form::Switch) if matches!(text, "true" | "false") => text.to_owned(),
            (_, Form::Number) if is_toml_integer(text) => text.to_owned(),
            _ => quoted(text),
        }
    }

    fn origin(&self, setting: &Setting, given: &Given) -> String {
        match (setting.key, given.texts.last().map(|text| text.trim())) {
            ("shards", Some("auto")) => format!("{}: auto, {} cores", given.origin, check::cores()),
            ("pin", Some("auto")) => format!("{}: auto", given.origin),
            _ => given.origin.to_string(),
        }
    }
}

/// TOML has no zeros in front, and no integers beyond 63 bits.
fn is_toml_integer(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
