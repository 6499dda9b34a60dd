//! Numbers, prices, times and strings as JSON text.

use crate::clock::SECOND;
use crate::wire::record::{UNDEF_PRICE, UNDEF_TIMESTAMP};

const NULL: &[u8] = b"null";
/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// A price in 1e-9 units as a quoted decimal with 9 places; `null` where undefined.
#[inline]
pub(super) fn price(price: i64, out: &mut Vec<u8>) {
    if price == UNDEF_PRICE {
        out.extend_from_slice(NULL);
        return;
    }
    quoted(out, |out| decimal(price, out));
}

/// A number in 1e-9 units as a decimal with 9 places.
#[inline]
pub(in crate::wire) fn decimal(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    let amount = number.unsigned_abs();
    unsigned(amount / SECOND, out);
    out.push(b'.');
    out.extend_from_slice(&nine_digits((amount % SECOND) as u32));
}

/// Nanoseconds since the UNIX epoch as quoted ISO 8601 with 9 places; `null` where 0 or undefined.
#[inline]
pub(super) fn time(ns: u64, out: &mut Vec<u8>) {
    if ns == 0 || ns == UNDEF_TIMESTAMP {
        out.extend_from_slice(NULL);
        return;
    }
    quoted(out, |out| iso(ns, out));
}

/// Nanoseconds since the UNIX epoch as ISO 8601 with 9 places.
#[inline]
pub(in crate::wire) fn iso(ns: u64, out: &mut Vec<u8>) {
    let (seconds, part) = (ns / SECOND, (ns % SECOND) as u32);
    let (year, month, day) = civil(seconds / 86_400);
    let second = (seconds % 86_400) as usize;
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    text[0..2].copy_from_slice(&PAIRS[year / 100]);
    text[2..4].copy_from_slice(&PAIRS[year % 100]);
    text[5..7].copy_from_slice(&PAIRS[month]);
    text[8..10].copy_from_slice(&PAIRS[day]);
    text[11..13].copy_from_slice(&PAIRS[second / 3600]);
    text[14..16].copy_from_slice(&PAIRS[second / 60 % 60]);
    text[17..19].copy_from_slice(&PAIRS[second % 60]);
    text[20..29].copy_from_slice(&nine_digits(part));
    out.extend_from_slice(&text);
}

/// Year, month and day of a day since the UNIX epoch: years that begin in March, in eras of 400
/// (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(day: u64) -> (usize, usize, usize) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    (year as usize, month as usize, day as usize)
}

fn nine_digits(mut n: u32) -> [u8; 9] {
    let mut digits = [0; 9];
    for at in [7, 5, 3, 1] {
        digits[at..at + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    digits[0] = b'0' + n as u8;
    digits
}

/// An unsigned number.
#[inline]
pub(in crate::wire) fn unsigned(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while n >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    if n > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + n as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// A signed number.
#[inline]
pub(in crate::wire) fn signed(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    unsigned(n.unsigned_abs(), out);
}

/// What `write` writes, in quotes.
#[inline]
pub(super) fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// A one-character field; `null` where it is 0 or JSON has no short escape for it.
#[inline]
pub(super) fn char(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'"', b'\\', byte, b'"']),
        b'\'' => out.extend_from_slice(NULL),
        b' '..=b'~' => out.extend_from_slice(&[b'"', byte, b'"']),
        b'\t' => out.extend_from_slice(br#""\t""#),
        b'\n' => out.extend_from_slice(br#""\n""#),
        b'\r' => out.extend_from_slice(br#""\r""#),
        _ => out.extend_from_slice(NULL),
    }
}

/// A text field's content: what comes before its first zero, empty where there is none or it is not
/// UTF-8.
pub(in crate::wire) fn until_nul(field: &[u8]) -> &str {
    let end = field.iter().position(|byte| *byte == 0);
    end.and_then(|end| std::str::from_utf8(&field[..end]).ok()).unwrap_or_default()
}

/// A string in quotes, escaped as DBN does: the slash too.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' | b'/' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_have_no_leading_zeros() {
        for n in [0, 1, 9, 10, 99, 100, 101, 1_000, 12_345, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(text(|out| unsigned(n, out)), n.to_string());
        }
        assert_eq!(text(|out| signed(i64::MIN, out)), i64::MIN.to_string());
    }

    #[test]
    fn prices_are_decimals() {
        assert_eq!(text(|out| price(-100_000, out)), r#""-0.000100000""#);
        assert_eq!(text(|out| price(4_810_250_000_000, out)), r#""4810.250000000""#);
        assert_eq!(text(|out| price(UNDEF_PRICE, out)), "null");
        assert_eq!(text(|out| price(i64::MIN, out)), r#""-9223372036.854775808""#);
    }

    #[test]
    fn times_agree_with_dbn_on_every_day() {
        let last = u64::MAX / SECOND / 86_400;
        for day in 0..=last {
            let ns = (day * 86_400 + day * 7 % 86_400) * SECOND + day * 1_234_567 % SECOND;
            if ns > 0 {
                assert_eq!(text(|out| time(ns, out)), format!("\"{}\"", dbn::pretty::Ts(ns)));
            }
        }
        assert_eq!(text(|out| time(0, out)), "null");
        assert_eq!(text(|out| time(u64::MAX - 1, out)), r#""2554-07-21T23:34:33.709551614Z""#);
    }

    #[test]
    fn any_character_is_json() {
        for byte in 0..=255 {
            let json: serde_json::Value =
                serde_json::from_str(&text(|out| char(byte, out))).unwrap();
            let dbn = std::ascii::escape_default(byte).to_string();
            let theirs: Result<serde_json::Value, _> = serde_json::from_str(&format!("\"{dbn}\""));
            assert_eq!(json, if byte == 0 { None } else { theirs.ok() }.unwrap_or_default());
        }
    }

    #[test]
    fn any_string_is_json() {
        let all: String = (0..=0x10ffff).step_by(7).filter_map(std::char::from_u32).collect();
        let all = format!("{all}{}", (0..128u8).map(char::from).collect::<String>());
        let json: String = serde_json::from_str(&text(|out| string(&all, out))).unwrap();
        assert_eq!(json, all);
    }
}
