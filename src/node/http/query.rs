//! Query strings, read strictly: what is unknown, doubled or malformed is refused by name.

use std::ops::RangeInclusive;

use super::refusal::Refusal;
use crate::limits::SYMBOLS_PER_REQUEST;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads a query string in which only `known` parameters may stand, each once.
    pub(super) fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if !known.contains(&name.as_str()) {
                return Err(unknown(&name, known));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad(format!("parameter {name:?} stands twice")));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// Is the parameter given?
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A whole number within `range`, or `default` where it is not given.
    pub(super) fn number(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Refusal> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && range.contains(&number) => Ok(number),
            _ => {
                let (least, most) = range.into_inner();
                Err(bad(format!(
                    "parameter {name:?} can't be {text:?}: it is a whole number from {least} to \
                     {most}"
                )))
            }
        }
    }

    /// The comma-separated symbols of `symbols`, each once, in their order.
    pub(super) fn symbols(&self) -> Result<Vec<&str>, Refusal> {
        let text = self.get("symbols").unwrap_or_default();
        let mut symbols: Vec<&str> = Vec::new();
        for symbol in text.split(',') {
            if symbol.is_empty() {
                return Err(bad("parameter \"symbols\" is a list such as AAPL,MSFT".to_owned()));
            }
            if !symbols.contains(&symbol) {
                symbols.push(symbol);
            }
            if symbols.len() > SYMBOLS_PER_REQUEST {
                let message = format!("at most {SYMBOLS_PER_REQUEST} symbols in one request");
                return Err(Refusal::bad_request(405, "too_many_symbols", message));
            }
        }
        Ok(symbols)
    }

    /// A parameter as it was given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn bad(message: String) -> Refusal {
    Refusal::bad_request(400, "bad_params", message)
}

fn unknown(name: &str, known: &[&str]) -> Refusal {
    bad(match known {
        [] => format!("unknown parameter {name:?}: this page takes none"),
        known => format!("unknown parameter {name:?}: this page takes {}", known.join(", ")),
    })
}

/// `%41+b` → `A b`.
pub(super) fn decoded(text: &str) -> Result<String, Refusal> {
    let malformed = || bad(format!("{text:?} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (hex(*high, *low).ok_or_else(malformed)?, after),
            (b'%', _) => return Err(malformed()),
            (b'+', after) => (b' ', after),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Query::parse(Some(text), &["symbols", "limit"]).unwrap_err().message
    }

    #[test]
    fn it_decodes_what_browsers_encode() {
        let query = Query::parse(Some("symbols=BRK%2fA,%C3%84+B,X&limit=7"), &["symbols", "limit"]);
        let query = query.unwrap();
        assert_eq!(query.symbols().unwrap(), ["BRK/A", "Ä B", "X"]);
        assert_eq!(query.number("limit", 1..=9, 5).unwrap(), 7);
        assert_eq!(Query::parse(None, &[]).unwrap().number("limit", 1..=9, 5).unwrap(), 5);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(message("limits=1").contains("unknown parameter \"limits\""));
        assert!(message("limit=1&limit=2").contains("\"limit\" stands twice"));
        for malformed in ["symbols=%", "symbols=%2", "symbols=%+1", "symbols=%FF", "%zz=1"] {
            assert!(message(malformed).contains("percent-encoded"), "{malformed}");
        }
        for number in ["limit=", "limit=0", "limit=10", "limit=+3", "limit=-1", "limit=x", "limit"]
        {
            let query = Query::parse(Some(number), &["limit"]).unwrap();
            let refused = query.number("limit", 1..=9, 5).unwrap_err();
            assert!(refused.message.contains("from 1 to 9"), "{number}");
        }
    }

    #[test]
    fn symbols_are_each_taken_once_and_bounded() {
        let parse = |text: &str| Query::parse(Some(text), &["symbols"]).unwrap();
        assert_eq!(parse("symbols=A,B,A").symbols().unwrap(), ["A", "B"]);
        for empty in ["symbols=", "symbols=A,,B", "symbols=A,", ""] {
            assert!(parse(empty).symbols().is_err(), "{empty}");
        }
        let many: Vec<_> = (0..=SYMBOLS_PER_REQUEST).map(|n| n.to_string()).collect();
        let query = parse(&format!("symbols={}", many.join(",")));
        assert_eq!(query.symbols().unwrap_err().code, 405);
    }
}
