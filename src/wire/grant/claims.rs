//! Rights as they are written: the claim `broadtape` of a token, the `grant` of an API key. An
//! unknown field is an error: who misspells a limit has not set it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Rights, Scope};
use crate::limits::{GRANT_SYMBOLS, MAX_RATES, PATTERN_STARS, PATTERNS_PER_REQUEST, SYMBOL_BYTES};
use crate::wire::instrument::bit;
use crate::wire::record::schemas;
use crate::wire::symbols::Symbol;

/// Rights that are not written as they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RightsError {
    /// A schema that there is not.
    #[error("schemas: there is no {0:?}: they are {1}, or \"*\"")]
    Schema(String, String),
    /// A symbol that can't be one.
    #[error(
        "symbols: {0:?} is none: 1 to {SYMBOL_BYTES} bytes, at most {PATTERN_STARS} \"*\" in it"
    )]
    Symbol(String),
    /// Too many of them.
    #[error(
        "symbols: {0} are given: at most {GRANT_SYMBOLS}, of them {PATTERNS_PER_REQUEST} patterns"
    )]
    Symbols(usize),
    /// A rate that is not on the grid.
    #[error("max_rate is {0}: it is one of {MAX_RATES:?}")]
    Rate(u32),
    /// A word in the place of a list, or of a number.
    #[error("{0} is {1:?}: it is {2}")]
    Word(&'static str, String, &'static str),
    /// A limit that leaves nothing.
    #[error("connections is 0: nobody could come in; leave it out for no limit")]
    Connections,
    /// Two wishes that exclude each other.
    #[error("max_rate and delay exclude each other: a delayed feed has every record")]
    Paced,
}

/// Rights, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Names of schemas, or `"*"`.
    #[serde(default)]
    pub schemas: Names,
    /// Symbols and patterns, or `"*"`.
    #[serde(default)]
    pub symbols: Names,
    /// Seconds, or `"all"`.
    #[serde(default)]
    pub history: Depth,
    /// As [`Rights::replay`].
    #[serde(default)]
    pub replay: bool,
    /// As [`Rights::publish`].
    #[serde(default)]
    pub publish: bool,
    /// As [`Rights::admin`].
    #[serde(default)]
    pub admin: bool,
    /// As [`Rights::max_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<u32>,
    /// As [`Rights::connections`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Seconds.
    #[serde(default)]
    pub delay: u32,
}

/// Reads an object and nothing else: what is derived would take a list of its values as well.
///
/// # Errors
/// What the object's own reader says, or that it is none.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    reader.deserialize_map(Object(PhantomData))
}

/// A list of names, or `"*"` for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// These.
    List(Vec<String>),
    /// `"*"`.
    Word(String),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// How far back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Depth {
    /// So many seconds.
    Seconds(u32),
    /// `"all"`.
    Word(String),
}

impl Default for Depth {
    fn default() -> Self {
        Self::Seconds(0)
    }
}

impl Claims {
    /// The rights that they give.
    ///
    /// # Errors
    /// [`RightsError`]: the first thing that is wrong.
    pub fn rights(self) -> Result<Rights, RightsError> {
        let delay = Duration::from_secs(u64::from(self.delay));
        match (self.max_rate, self.connections) {
            (Some(rate), _) if !MAX_RATES.contains(&rate) => return Err(RightsError::Rate(rate)),
            (Some(_), _) if !delay.is_zero() => return Err(RightsError::Paced),
            (_, Some(0)) => return Err(RightsError::Connections),
            _ => {}
        }
        Ok(Rights {
            schemas: mask(self.schemas)?,
            symbols: scope(self.symbols)?,
            history: match self.history {
                Depth::Seconds(seconds) => Duration::from_secs(u64::from(seconds)),
                Depth::Word(word) if word == "all" => Duration::MAX,
                Depth::Word(word) => {
                    return Err(RightsError::Word("history", word, "seconds, or \"all\""));
                }
            },
            replay: self.replay,
            publish: self.publish,
            admin: self.admin,
            max_rate: self.max_rate,
            connections: self.connections,
            delay,
        })
    }
}

fn mask(names: Names) -> Result<u32, RightsError> {
    let list = match names {
        Names::Word(word) if word == "*" => return Ok(u32::MAX),
        Names::Word(word) => return Err(RightsError::Word("schemas", word, "a list, or \"*\"")),
        Names::List(list) => list,
    };
    list.into_iter().try_fold(0, |mask, name| {
        match schemas().find(|schema| schema.as_str() == name) {
            Some(schema) => Ok(mask | bit(schema)),
            None => {
                let known: Vec<&str> = schemas().map(|schema| schema.as_str()).collect();
                Err(RightsError::Schema(name, known.join(", ")))
            }
        }
    })
}

fn scope(names: Names) -> Result<Option<Arc<Scope>>, RightsError> {
    let list = match names {
        Names::Word(word) if word == "*" => return Ok(None),
        Names::Word(word) => return Err(RightsError::Word("symbols", word, "a list, or \"*\"")),
        Names::List(list) => list,
    };
    let possible = |name: &String| {
        (1..=SYMBOL_BYTES).contains(&name.len()) && name.matches('*').count() <= PATTERN_STARS
    };
    if let Some(wrong) = list.iter().find(|name| !possible(name)) {
        return Err(RightsError::Symbol(wrong.clone()));
    }
    let patterns = list.iter().filter(|name| name.contains('*')).count();
    if list.len() > GRANT_SYMBOLS || patterns > PATTERNS_PER_REQUEST {
        return Err(RightsError::Symbols(list.len()));
    }
    Ok(Some(Arc::new(Scope::new(list.into_iter().map(Symbol::new)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::Schema;

    fn rights(text: &str) -> Result<Rights, String> {
        let claims: Claims = serde_json::from_str(text).map_err(|error| error.to_string())?;
        claims.rights().map_err(|error| error.to_string())
    }

    #[test]
    fn claims_are_read() {
        assert_eq!(rights("{}").unwrap(), Rights::default());
        let some = rights(
            r#"{"schemas":["trades","mbp-1"],"symbols":["AAPL","ES*"],"history":3600,
                "replay":true,"max_rate":5,"connections":2}"#,
        )
        .unwrap();
        assert_eq!(some.schemas, bit(Schema::Trades) | bit(Schema::Mbp1));
        assert!(some.has_symbol("AAPL") && some.has_symbol("ESH4") && !some.has_symbol("MSFT"));
        assert_eq!((some.history, some.replay), (Duration::from_secs(3600), true));
        assert_eq!((some.max_rate, some.connections, some.admin), (Some(5), Some(2), false));
        let all = rights(r#"{"schemas":"*","symbols":"*","history":"all","delay":900}"#).unwrap();
        assert_eq!((all.schemas, all.symbols), (u32::MAX, None));
        assert_eq!((all.history, all.delay), (Duration::MAX, Duration::from_secs(900)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            (r#"{"schema":"*"}"#, "unknown field `schema`"),
            (r#"{"schemas":"all"}"#, "schemas is \"all\": it is a list, or \"*\""),
            (r#"{"schemas":["trade"]}"#, "there is no \"trade\""),
            (r#"{"symbols":[""]}"#, "\"\" is none"),
            (r#"{"symbols":["*****"]}"#, "at most 4"),
            (r#"{"symbols":"AAPL"}"#, "it is a list"),
            (r#"{"history":"1h"}"#, "seconds, or \"all\""),
            (r#"{"history":-1}"#, "did not match"),
            (r#"{"max_rate":3}"#, "one of [1, 2, 5"),
            (r#"{"max_rate":1,"delay":60}"#, "exclude each other"),
            (r#"{"connections":0}"#, "nobody could come in"),
            (r#"{"delay":1.5}"#, "floating point"),
            (r#"{"replay":1}"#, "boolean"),
            (r#"{"admin":true,"admin":true}"#, "duplicate"),
        ] {
            let told = rights(text).expect_err(text);
            assert!(told.contains(says), "{text}: {told}");
        }
    }
}
