//! Fields of a request: every refusal says which one, what it was, what would be right.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::{ControlError, ErrorCode};
use super::instrument::bit;
use super::record::schemas;
use super::strict::{Fields, Json, quoted};
use super::symbols::{Symbol, Symbols};
use crate::limits::{PATTERN_STARS, PATTERNS_PER_REQUEST, SYMBOL_BYTES};

/// What a request may still ask for, over all its objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Symbols of one request.
    symbols_max: usize,
    symbols: usize,
    patterns: usize,
}

impl Allowance {
    pub(super) fn new(symbols: usize) -> Self {
        Self { symbols_max: symbols, symbols, patterns: PATTERNS_PER_REQUEST }
    }

    fn take(&mut self, path: &str, symbols: usize, patterns: usize) -> Result<(), ControlError> {
        let left = self.symbols.checked_sub(symbols).zip(self.patterns.checked_sub(patterns));
        let Some((symbols, patterns)) = left else {
            let (most, starred) = (self.symbols_max, PATTERNS_PER_REQUEST);
            let says = format!(
                "{path} takes the request over its limit: at most {most} symbols, of them at most \
                 {starred} patterns"
            );
            return Err(ControlError::new(ErrorCode::TooManySymbols, says));
        };
        (self.symbols, self.patterns) = (symbols, patterns);
        Ok(())
    }
}

/// An object of a request and where it stands in it, such as `params[2]`.
pub(super) struct Params<'j, 'a> {
    path: Cow<'static, str>,
    fields: &'j Fields<'a>,
}

impl<'j, 'a> Params<'j, 'a> {
    /// The object at `path`.
    pub(super) fn new(
        path: impl Into<Cow<'static, str>>,
        value: &'j Json<'a>,
        right: &str,
    ) -> Result<Self, ControlError> {
        let path = path.into();
        match value {
            Json::Object(fields) => Ok(Self { path, fields }),
            other => Err(wrong(&path, other, right)),
        }
    }

    /// Refuses fields that are none of these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ControlError> {
        let strange = self.fields.iter().find(|(name, _)| !known.contains(&name.as_ref()));
        strange.map_or(Ok(()), |(name, _)| {
            let (path, name) = (&self.path, quoted(name));
            Err(bad(format!("{path} has no field {name}: its fields are {}", known.join(", "))))
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'j Json<'a>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub(super) fn wrong(&self, name: &str, value: &Json<'_>, right: &str) -> ControlError {
        wrong(&self.path_of(name), value, right)
    }

    fn need(&self, name: &str, right: &str) -> Result<&'j Json<'a>, ControlError> {
        let missing = || bad(format!("{} is missing: give {right}", self.path_of(name)));
        self.get(name).ok_or_else(missing)
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ControlError> {
        match self.get(name) {
            None => Ok(default),
            Some(Json::Bool(is)) => Ok(*is),
            Some(other) => Err(self.wrong(name, other, "true or false")),
        }
    }

    /// A 64-bit integer, plain or as a decimal string.
    pub(super) fn long(&self, name: &str) -> Result<u64, ControlError> {
        let right = "an integer from 0 to 2^64 - 1, as a decimal string or plain";
        let value = self.need(name, right)?;
        long(value).ok_or_else(|| self.wrong(name, value, right))
    }

    /// A number of a subscription.
    pub(super) fn subscription(&self, name: &str) -> Result<Option<u32>, ControlError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Json::Integer(n) => u32::try_from(*n).ok(),
            _ => None,
        };
        let right = "the number that the answer to subscribe gave it";
        number.map(Some).ok_or_else(|| self.wrong(name, value, right))
    }

    /// A string of at most `max` bytes.
    pub(super) fn text(&self, name: &str, max: usize) -> Result<Option<&'j str>, ControlError> {
        let right = || format!("a string of at most {max} bytes");
        match self.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) if text.len() <= max => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, other, &right())),
        }
    }

    /// One schema or a list of them, as a mask of bits `1 << schema`.
    pub(super) fn schemas(&self) -> Result<u32, ControlError> {
        let right = r#"a schema such as "trades", or a list of them"#;
        let path = self.path_of("schema");
        match self.need("schema", right)? {
            Json::Text(name) => schema_bit(&path, name),
            Json::List(list) if list.is_empty() => {
                Err(bad(format!("{path} is empty: give {right}")))
            }
            Json::List(list) => list.iter().enumerate().try_fold(0, |mask, (n, value)| {
                let path = format!("{path}[{n}]");
                let Json::Text(name) = value else { return Err(wrong(&path, value, right)) };
                Ok(mask | schema_bit(&path, name)?)
            }),
            other => Err(wrong(&path, other, right)),
        }
    }

    /// `"*"`, one symbol or pattern, or a list of them.
    pub(super) fn symbols(&self, left: &mut Allowance) -> Result<Symbols, ControlError> {
        let right = r#"a list of symbols and patterns such as ["ESH4","NQ*"], or "*" for all"#;
        let path = self.path_of("symbols");
        match self.need("symbols", right)? {
            Json::Text(text) if text == "*" => Ok(Symbols::All),
            one @ Json::Text(_) => listed(std::slice::from_ref(one), left, |_| path.clone()),
            Json::List(list) if list.is_empty() => {
                Err(bad(format!("{path} is empty: give {right}")))
            }
            Json::List(list) if matches!(&list[..], [Json::Text(text)] if text == "*") => {
                Ok(Symbols::All)
            }
            Json::List(list) => listed(list, left, |n| format!("{path}[{n}]")),
            other => Err(wrong(&path, other, right)),
        }
    }
}

fn listed(
    values: &[Json<'_>],
    left: &mut Allowance,
    path: impl Fn(usize) -> String,
) -> Result<Symbols, ControlError> {
    left.take(&path(values.len() - 1), values.len(), 0)?;
    let mut seen = HashSet::with_capacity(values.len());
    let mut symbols = Vec::with_capacity(values.len());
    for (n, value) in values.iter().enumerate() {
        let symbol = symbol(value).map_err(|right| wrong(&path(n), value, right))?;
        if matches!(symbol, Symbol::Pattern(_)) {
            left.take(&path(n), 0, 1)?;
        }
        if seen.insert(symbol.clone()) {
            symbols.push(symbol);
        }
    }
    Ok(Symbols::Listed(symbols))
}

/// One symbol or pattern; else what would be right.
fn symbol(value: &Json<'_>) -> Result<Symbol, &'static str> {
    let Json::Text(text) = value else { return Err("a symbol, a string") };
    if !(1..=SYMBOL_BYTES).contains(&text.len()) {
        return Err("a symbol of 1 to 70 bytes");
    }
    if text.chars().any(char::is_control) {
        return Err("a symbol without control characters");
    }
    let stars = text.matches('*').count();
    if stars == text.len() {
        return Err(r#""*" alone for all instruments, or a pattern that says more than that"#);
    }
    if stars > PATTERN_STARS {
        return Err("a pattern of at most 4 wildcards");
    }
    Ok(Symbol::new(text.to_string()))
}

fn schema_bit(path: &str, name: &str) -> Result<u32, ControlError> {
    let found = schemas().find(|schema| schema.as_str() == name);
    found.map(bit).ok_or_else(|| {
        let known: Vec<_> = schemas().map(|schema| schema.as_str()).collect();
        let (name, known) = (quoted(name), known.join(", "));
        let says = format!("{path} is {name}: there is no such schema, but {known}");
        ControlError::new(ErrorCode::UnknownSchema, says)
    })
}

/// A decimal string without sign or leading zeros, or a plain integer.
fn long(value: &Json<'_>) -> Option<u64> {
    match value {
        Json::Integer(n) => Some(*n),
        Json::Text(text) => {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let canonical = digits && (text == "0" || !text.starts_with('0'));
            canonical.then(|| text.parse().ok()).flatten()
        }
        _ => None,
    }
}

/// A value that is not what it should be.
pub(super) fn wrong(path: &str, value: &Json<'_>, right: &str) -> ControlError {
    bad(format!("{path} is {}: give {right}", value.describe()))
}

/// A refusal of parameters, in these words.
pub(super) fn bad(says: String) -> ControlError {
    ControlError::new(ErrorCode::BadParams, says)
}

const _: () = assert!(SYMBOL_BYTES == 70 && PATTERN_STARS == 4, "said in words above");
