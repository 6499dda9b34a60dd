//! Prices as DBN has them (units of 1e-9), as text and back.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::record::UNDEF_PRICE;

/// Units of a whole.
const SCALE: u64 = 1_000_000_000;

/// A price that is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Price(i64);

impl Price {
    /// None where DBN says that there is none.
    pub(crate) fn new(units: i64) -> Option<Self> {
        (units != UNDEF_PRICE).then_some(Self(units))
    }
}

/// At least two decimals, and no zeros after those.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.unsigned_abs() / SCALE, self.0.unsigned_abs() % SCALE);
        let digits = format!("{part:09}");
        let kept = digits.trim_end_matches('0').len().max(2);
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{whole}.{}", &digits[..kept]))
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        parse(text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no price")))
    }
}

fn parse(text: &str) -> Option<Price> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() > 9 || !plain(whole) || !plain(part) {
        return None;
    }
    let part: i64 = format!("{part:0<9}").parse().ok()?;
    let whole: i64 = whole.parse().ok()?;
    let units = whole.checked_mul(SCALE as i64)?.checked_add(part)?;
    Price::new(sign * units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_read_back_as_they_were_printed() {
        for (units, text) in [
            (189_450_000_000, "189.45"),
            (100_000_000_000, "100.00"),
            (1, "0.000000001"),
            (-500_000_000, "-0.50"),
        ] {
            assert_eq!(Price(units).to_string(), text);
            assert_eq!(parse(text), Some(Price(units)));
        }
        assert_eq!(parse("5411.250000000"), Some(Price(5_411_250_000_000)));
        for bad in ["", ".", "x", "1.0000000001", "--1", "1.-5", "99999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(Price::new(UNDEF_PRICE), None);
    }
}
