//! A record as a line of CSV: the columns that DBN's own encoder has, with pretty prices and times,
//! `ts_out` where there is one, and the symbol last.
//!
//! It differs from DBN's only where that panics: the lowest price of all is printed as any other.

use super::columns::{self, Column, Kind};
use super::json::text;
use super::record::{UNDEF_PRICE, UNDEF_TIMESTAMP};
use crate::clock::UnixNanos;

/// Prints records of one type.
pub struct Table {
    columns: Vec<Column>,
    ts_out: bool,
}

impl Table {
    /// Of a record type, bare records of which have `ts_out` beside them or not; none for a type
    /// that DBN doesn't know.
    pub fn new(rtype: u8, ts_out: bool) -> Option<Self> {
        Some(Self { columns: columns::of(rtype)?, ts_out })
    }

    /// Appends the line of names.
    pub fn header(&self, out: &mut Vec<u8>) {
        for column in &self.columns {
            out.extend_from_slice(column.name.as_bytes());
            out.push(b',');
        }
        let rest: &[u8] = if self.ts_out { b"ts_out,symbol\n" } else { b"symbol\n" };
        out.extend_from_slice(rest);
    }

    /// Appends a bare record of the type as a line.
    pub fn line(&self, bare: &[u8], ts_out: UnixNanos, symbol: &str, out: &mut Vec<u8>) {
        for column in &self.columns {
            cell(&bare[column.at..], column.kind, out);
            out.push(b',');
        }
        if self.ts_out {
            time(ts_out, out);
            out.push(b',');
        }
        quoted(symbol.as_bytes(), out);
        out.push(b'\n');
    }
}

/// Writes the value that `bytes` begins with.
#[inline]
fn cell(bytes: &[u8], kind: Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Time => time(kind.number(bytes), out),
        Kind::Price => match kind.number(bytes) as i64 {
            UNDEF_PRICE => {}
            price => text::decimal(price, out),
        },
        Kind::Char => char(bytes[0], out),
        Kind::Unsigned(_) => text::unsigned(kind.number(bytes), out),
        Kind::Signed(_) => text::signed(kind.number(bytes) as i64, out),
        Kind::Text(_) => quoted(kind.text(bytes).as_bytes(), out),
    }
}

fn time(ns: UnixNanos, out: &mut Vec<u8>) {
    if ns != 0 && ns != UNDEF_TIMESTAMP {
        text::iso(ns, out);
    }
}

/// A one-character field: nothing where it is 0, escaped where it is not printable.
fn char(byte: u8, out: &mut Vec<u8>) {
    match byte {
        0 => {}
        b'A'..=b'Z' => out.push(byte),
        _ => quoted(&std::ascii::escape_default(byte).collect::<Vec<u8>>(), out),
    }
}

/// A text, in quotes where it has to be.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
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
    use crate::wire::record::{TradeMsg, bytes_of, header, rtype};

    #[test]
    fn a_line_has_a_cell_for_each_name() {
        let hd = header::<TradeMsg>(rtype::MBP_0, 1, 7, 5);
        let trade = TradeMsg { hd, price: -1_500_000_000, action: b'"' as i8, ..<_>::default() };
        let (table, mut out) = (Table::new(rtype::MBP_0, true).unwrap(), Vec::new());
        table.header(&mut out);
        table.line(bytes_of(&trade), 1, "A,\"B\"", &mut out);
        let text = String::from_utf8(out).unwrap();
        let (names, line) = text.split_once('\n').unwrap();
        let wanted = "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,\
                      size,flags,ts_in_delta,sequence,ts_out,symbol";
        assert_eq!(names, wanted);
        let begin = ",1970-01-01T00:00:00.000000005Z,0,1,7,\"\\\"\"\",";
        let end = ",1970-01-01T00:00:00.000000001Z,\"A,\"\"B\"\"\"\n";
        assert!(line.starts_with(begin) && line.ends_with(end), "{line}");
        assert!(line.contains(",-1.500000000,"), "{line}");
        assert!(Table::new(0x77, false).is_none());
    }
}
