//! Decimal numbers as exchanges write them, exactly: no binary fraction on the way.

/// Digits of a decimal that are read: all of a u64 and those of DBN's prices.
const DIGITS_MAX: u32 = 18;
/// Places after the point of a DBN price.
const PRICE_PLACES: u32 = 9;

/// `units / 10^places`, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The digits, with the sign.
    pub units: i64,
    /// How many of them stand after the point, at most 18.
    pub places: u32,
}

/// Reads `123.4500` (a sign in front may be): none where it is no plain decimal or has more digits
/// than are read.
pub fn decimal(text: &[u8]) -> Option<Decimal> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &[][..]),
    };
    let zeros = fraction.iter().rev().take_while(|byte| **byte == b'0').count();
    let kept = &fraction[..fraction.len() - zeros];
    let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    if whole.is_empty() || !all_digits || (digits.ends_with(b".")) {
        return None;
    }
    let mut units = 0_i64;
    for byte in whole.iter().chain(kept) {
        units = units.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
    }
    let places = u32::try_from(kept.len()).ok().filter(|places| *places <= DIGITS_MAX)?;
    Some(Decimal { units: if negative { -units } else { units }, places })
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, all) = (if self.units < 0 { "-" } else { "" }, self.units.unsigned_abs());
        match (self.places as usize, 10_u64.pow(self.places)) {
            (0, _) => write!(f, "{sign}{all}"),
            (places, unit) => write!(f, "{sign}{}.{:0places$}", all / unit, all % unit),
        }
    }
}

impl Decimal {
    /// As a DBN price, in units of 1e-9; none where it has more places or is too large.
    pub fn price(self) -> Option<i64> {
        let up = PRICE_PLACES.checked_sub(self.places)?;
        self.units.checked_mul(10_i64.pow(up)).filter(|price| *price != i64::MAX)
    }

    /// How many lots it is; none where it is no whole number of them, or no u32 (its largest value
    /// means "undefined").
    pub fn lots(self, lot: Self) -> Option<u32> {
        let places = self.places.max(lot.places);
        let of = |d: Self| i128::from(d.units) * 10_i128.pow(places - d.places);
        let (size, lot) = (of(self), of(lot));
        let whole = lot > 0 && size % lot == 0;
        whole.then(|| u32::try_from(size / lot).ok())?.filter(|lots| *lots != u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(text: &str) -> Option<i64> {
        decimal(text.as_bytes())?.price()
    }

    #[test]
    fn prices_are_exact() {
        assert_eq!(price("61837.63000000"), Some(61_837_630_000_000));
        assert_eq!(price("0.00619648"), Some(6_196_480));
        assert_eq!(price("-1"), Some(-1_000_000_000));
        assert_eq!(price("9223372036.854775806"), Some(i64::MAX - 1));
        assert_eq!(price("0.0000000001"), None);
        assert_eq!(price("9223372036.854775807"), None);
        for wrong in
            ["", "-", ".", ".5", "5.", "1e3", "1 ", "+1", "1.2.3", "٣", "99999999999999999999"]
        {
            assert_eq!(decimal(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_shown_as_it_is() {
        for text in ["0.001", "12", "-1.5", "0.000000000000000001"] {
            assert_eq!(decimal(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn sizes_are_whole_lots() {
        let lots = |size: &str, lot: &str| {
            decimal(size.as_bytes()).unwrap().lots(decimal(lot.as_bytes()).unwrap())
        };
        assert_eq!(lots("0.02000000", "0.00001"), Some(2_000));
        assert_eq!(lots("0.02", "0.001"), Some(20));
        assert_eq!(lots("0.0205", "0.001"), None);
        assert_eq!(lots("1000", "100"), Some(10));
        assert_eq!(lots("50", "100"), None);
        assert_eq!(lots("42949.67295", "0.00001"), None);
        assert_eq!(lots("-1", "1"), None);
        assert_eq!(lots("0", "1"), Some(0));
    }

    proptest! {
        #[test]
        fn any_price_comes_through(units in any::<i64>(), zeros in 0_usize..5) {
            let (sign, all) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
            let text = format!("{sign}{}.{:09}{}", all / 1_000_000_000, all % 1_000_000_000,
                "0".repeat(zeros));
            let expected = (units != i64::MAX && units != i64::MIN).then_some(units);
            prop_assert_eq!(price(&text), expected);
        }

        #[test]
        fn any_bytes_are_a_decimal_or_none(bytes in proptest::collection::vec(0u8.., 0..40)) {
            if let Some(decimal) = decimal(&bytes) {
                decimal.price();
                decimal.lots(Decimal { units: 1, places: 18 });
            }
        }
    }
}
