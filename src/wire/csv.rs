//! A record as a line of CSV: the columns that DBN's own encoder has, with pretty prices and times,
//! `ts_out` where there is one, and the symbol last.
//!
//! It differs from DBN's only where that panics: the lowest price of all is printed as any other.

use super::json::fields::{self, Field, Kind};
use super::json::{fields_of, text, u16_at};
use super::record::{UNDEF_PRICE, UNDEF_TIMESTAMP, u32_at, u64_at};
use crate::clock::UnixNanos;

/// Appends the names of the columns of a record type, with the line's end; false for a type that
/// DBN doesn't know.
pub fn header(rtype: u8, ts_out: bool, out: &mut Vec<u8>) -> bool {
    let Some(fields) = fields::of(rtype) else { return false };
    names(fields, "", out);
    if ts_out {
        out.extend_from_slice(b"ts_out,");
    }
    out.extend_from_slice(b"symbol\n");
    true
}

fn names(fields: &[Field], suffix: &str, out: &mut Vec<u8>) {
    for field in fields {
        match field.kind {
            Kind::Object(inner) => names(inner, suffix, out),
            Kind::Levels(count, inner) => {
                (0..count).for_each(|level| names(inner, &format!("_{level:02}"), out));
            }
            _ => {
                out.extend_from_slice(field.name().as_bytes());
                out.extend_from_slice(suffix.as_bytes());
                out.push(b',');
            }
        }
    }
}

/// Appends a bare record as a line. One whose type or length DBN doesn't know is an empty line.
pub fn encode(bare: &[u8], ts_out: Option<UnixNanos>, symbol: &str, out: &mut Vec<u8>) {
    if let Some(fields) = fields_of(bare) {
        values(bare, fields, out);
        if let Some(ts_out) = ts_out {
            time(ts_out, out);
            out.push(b',');
        }
        cell(symbol.as_bytes(), out);
    }
    out.push(b'\n');
}

fn values(bytes: &[u8], fields: &[Field], out: &mut Vec<u8>) {
    for field in fields {
        let bytes = &bytes[field.at..];
        match field.kind {
            Kind::Object(inner) => values(bytes, inner, out),
            Kind::Levels(count, inner) => {
                let levels = bytes.chunks_exact(fields::LEVEL).take(count);
                levels.for_each(|level| values(level, inner, out));
            }
            kind => {
                value(bytes, kind, out);
                out.push(b',');
            }
        }
    }
}

/// Writes the value that `bytes` begins with, which holds no others.
#[inline]
fn value(bytes: &[u8], kind: Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Time => time(u64_at(bytes, 0), out),
        Kind::Price => match u64_at(bytes, 0) as i64 {
            UNDEF_PRICE => {}
            price => text::decimal(price, out),
        },
        Kind::Char => char(bytes[0], out),
        Kind::U8 => text::unsigned(u64::from(bytes[0]), out),
        Kind::I8 => text::signed(i64::from(bytes[0] as i8), out),
        Kind::U16 => text::unsigned(u64::from(u16_at(bytes)), out),
        Kind::I16 => text::signed(i64::from(u16_at(bytes) as i16), out),
        Kind::U32 => text::unsigned(u64::from(u32_at(bytes, 0)), out),
        Kind::I32 => text::signed(i64::from(u32_at(bytes, 0) as i32), out),
        Kind::U64 => text::unsigned(u64_at(bytes, 0), out),
        Kind::I64 => text::signed(u64_at(bytes, 0) as i64, out),
        Kind::Text(length) => cell(text::until_nul(&bytes[..length]).as_bytes(), out),
        Kind::Object(_) | Kind::Levels(..) => {}
    }
}

fn time(ns: UnixNanos, out: &mut Vec<u8>) {
    if ns != 0 && ns != UNDEF_TIMESTAMP {
        text::iso(ns, out);
    }
}

/// A one-character field: nothing where it is 0, escaped where it is not printable.
fn char(byte: u8, out: &mut Vec<u8>) {
    if byte != 0 {
        let escaped: Vec<u8> = std::ascii::escape_default(byte).collect();
        cell(&escaped, out);
    }
}

/// A cell, in quotes where it has to be.
fn cell(text: &[u8], out: &mut Vec<u8>) {
    if !text.iter().any(|byte| b",\"\r\n".contains(byte)) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        out.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{TradeMsg, bytes_of, header as head, rtype};

    #[test]
    fn a_line_has_a_cell_for_each_name() {
        let hd = head::<TradeMsg>(rtype::MBP_0, 1, 7, 5);
        let trade = TradeMsg { hd, price: -1_500_000_000, action: b'"' as i8, ..<_>::default() };
        let mut out = Vec::new();
        assert!(header(rtype::MBP_0, true, &mut out));
        encode(bytes_of(&trade), Some(1), "A,\"B\"", &mut out);
        let text = String::from_utf8(out).unwrap();
        let (names, line) = text.split_once('\n').unwrap();
        let wanted = "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,\
                      size,flags,ts_in_delta,sequence,ts_out,symbol";
        assert_eq!(names, wanted);
        let begin = ",1970-01-01T00:00:00.000000005Z,0,1,7,\"\\\"\"\",";
        let end = ",1970-01-01T00:00:00.000000001Z,\"A,\"\"B\"\"\"\n";
        assert!(line.starts_with(begin) && line.ends_with(end), "{line}");
        assert!(line.contains(",-1.500000000,"), "{line}");
        assert!(!header(0x77, false, &mut Vec::new()));
    }
}
