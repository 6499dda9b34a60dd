//! A line of a recording of WebSocket messages: when it came, and its JSON.

use std::ops::Range;

use crate::clock::UnixNanos;
use crate::feed::decimal::decimal;
use crate::limits::JSON_DEPTH;

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A message: when it came, where its JSON lies.
    Message(UnixNanos, Range<usize>),
    /// Nothing from the exchange: blank, or where the recorder connected and what it sent.
    Own,
}

/// Reads `<ns> <JSON>`, or `<seconds>: <JSON>`, as cryptofeed writes it.
///
/// # Errors
/// What would be right.
pub(super) fn line(bytes: &[u8]) -> Result<Line, String> {
    let trimmed = bytes.trim_ascii_end();
    if trimmed.is_empty() || is_own(trimmed) {
        return Ok(Line::Own);
    }
    let end = trimmed.iter().position(|byte| *byte == b' ').unwrap_or(trimmed.len());
    let (time, json) = (&trimmed[..end], end + 1..trimmed.len());
    let time = match time.strip_suffix(b":") {
        // Seconds with nine places are ns.
        Some(seconds) => decimal(seconds).and_then(|time| time.price()),
        None => std::str::from_utf8(time).ok().and_then(|text| text.parse().ok()),
    };
    let time = time.and_then(|time| UnixNanos::try_from(time).ok());
    let begins = || trimmed[..trimmed.len().min(24)].escape_ascii();
    let expected = "expected `<ns> <JSON>` or `<seconds>: <JSON>`";
    let time = time.ok_or_else(|| format!("begins with \"{}\"; {expected}", begins()))?;
    if trimmed.get(json.start) != Some(&b'{') {
        return Err(format!("has no JSON object after its time; {expected}"));
    }
    check_depth(&trimmed[json.clone()])?;
    Ok(Line::Message(time, json))
}

/// Is it what the recorder did: `wss://… <-> TIME`, `wss://… <- TIME: …`?
fn is_own(line: &[u8]) -> bool {
    line.starts_with(b"wss://") || line.starts_with(b"ws://") || line.starts_with(b"http")
}

/// Refuses JSON that is nested deeper than any message: parsers recurse.
fn check_depth(json: &[u8]) -> Result<(), String> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH {
            return Err(format!("its JSON is nested more than {JSON_DEPTH} deep"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let ns = b"1723161253937085768 {\"a\":1}\r";
        assert_eq!(line(ns), Ok(Line::Message(1_723_161_253_937_085_768, 20..27)));
        let seconds = b"1618677817.8434298: {}";
        assert_eq!(line(seconds), Ok(Line::Message(1_618_677_817_843_429_800, 20..22)));
        for own in ["", "  ", "wss://x <-> 1618677816.8", "wss://x <- 1618677817.0: {}"] {
            assert_eq!(line(own.as_bytes()), Ok(Line::Own), "{own:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let deep = format!("1 {{\"a\":{}1{}}}", "[".repeat(9), "]".repeat(9));
        for (text, said) in [
            ("{\"a\":1}", "begins with \"{\\\"a\\\":1}\"; expected `<ns> <JSON>`"),
            ("time,price", "expected"),
            ("-5 {}", "expected"),
            ("17 [1]", "no JSON object"),
            ("17", "no JSON object"),
            (&deep, "nested more than 8"),
        ] {
            let error = line(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
        assert!(line(b"17 {\"a\":\"[[[[[[[[[[[[\\\"[[[\"}").is_ok());
    }
}
