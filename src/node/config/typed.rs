//! First pass: values as they were typed, each with where it came from; the strongest source wins.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::settings::{self, Form, PREFIX, Setting};
use crate::limits::CONFIG_BYTES;
use crate::wire::file::text_within;

/// One value (several for a list) and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// As typed.
    pub texts: Vec<String>,
    /// Where.
    pub origin: Origin,
}

/// What was given on the command line: the keys of settings and their values.
pub type Flags = Vec<(&'static str, Vec<String>)>;

/// The values of all settings that somebody gave.
#[derive(Debug, Default)]
pub(super) struct Typed {
    given: BTreeMap<&'static str, Given>,
    /// What is odd but no error, for the log.
    pub(super) warnings: Vec<String>,
}

impl Typed {
    /// Adds the file: stronger than the defaults.
    ///
    /// # Errors
    /// [`ConfigError`]: unreadable, no TOML, an unknown key, or a table where a value belongs.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let text = text_within(path, CONFIG_BYTES).map_err(unreadable)?.ok_or_else(|| {
            unreadable(io::Error::other(format!("it is longer than {CONFIG_BYTES} bytes")))
        })?;
        let at = |span: Range<usize>| Origin::File(path.to_owned(), line_of(&text, span.start));
        let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
            origin: at(error.span().unwrap_or_default()),
            message: error.message().to_owned(),
        })?;
        for (key, value) in table.into_inner() {
            let origin = at(key.span());
            let setting = known(&key.into_inner(), &origin)?;
            let texts = texts_of(setting, value.get_ref(), &origin)?;
            self.given.insert(setting.key, Given { texts, origin });
        }
        Ok(())
    }

    /// Adds the environment: stronger than the file. An empty variable is none. One that only looks
    /// like ours is warned of (an orchestrator may have set it), a misspelt one is an error.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`].
    pub(super) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(key) = name.strip_prefix(PREFIX).map(str::to_lowercase) else { continue };
            if value.is_empty() || key == "config" {
                continue;
            }
            if settings::find(&key).is_none() && settings::nearest(&key).is_none() {
                self.warnings.push(format!("variable {name} is no setting, and was ignored"));
                continue;
            }
            let setting = known(&key, &Origin::Variable(name.clone()))?;
            let texts = match setting.form {
                Form::List => value.split(',').map(|text| text.trim().to_owned()).collect(),
                _ => vec![value],
            };
            self.given.insert(setting.key, Given { texts, origin: Origin::Variable(name) });
        }
        Ok(())
    }

    /// Adds the command line: the strongest.
    pub(super) fn add_flags(&mut self, flags: Flags) {
        for (key, texts) in flags {
            let flag = match key {
                settings::FILES => "FILE".to_owned(),
                _ => format!("--{}", key.replace('_', "-")),
            };
            self.given.insert(key, Given { texts, origin: Origin::Flag(flag) });
        }
    }

    /// A setting's value: what was given, else its default.
    pub(super) fn get(&self, setting: &Setting) -> Given {
        self.given.get(setting.key).cloned().unwrap_or_else(|| Given {
            texts: match setting.default {
                "" => Vec::new(),
                default => vec![default.to_owned()],
            },
            origin: Origin::Default,
        })
    }
}

/// The setting of a key that somebody wrote.
fn known(key: &str, origin: &Origin) -> Result<&'static Setting, ConfigError> {
    settings::find(key).ok_or_else(|| ConfigError::UnknownKey {
        origin: origin.clone(),
        key: key.to_owned(),
        hint: match settings::nearest(key) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "broadtape serve --print-config shows those there are".to_owned(),
        },
    })
}

/// A TOML value as the text one would type for a flag.
fn texts_of(
    setting: &'static Setting,
    value: &DeValue<'_>,
    origin: &Origin,
) -> Result<Vec<String>, ConfigError> {
    let texts = match value {
        DeValue::Array(items) if setting.form == Form::List => {
            items.iter().map(|item| text_of(item.get_ref())).collect()
        }
        other => text_of(other).map(|text| vec![text]),
    };
    texts.ok_or_else(|| ConfigError::BadValue {
        origin: origin.clone(),
        key: setting.key,
        value: value.type_str().to_owned(),
        reason: match setting.form {
            Form::List => "it is a string or an array of strings",
            _ => "it is one value: a string, a number, true or false",
        }
        .to_owned(),
    })
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// The line of a byte, from 1.
fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|&b| b == b'\n').count() + 1
}
