//! A record as JSON text: what DBN's own encoder prints with pretty prices and times and the symbol
//! mapped, from a table of fields instead of a type, into a buffer that is kept.
//!
//! It differs where DBN's text would be no JSON or its encoder would panic, which only damaged
//! records reach: a one-character field that DBN escapes as JSON can't (bytes above 0x7e, control
//! characters but tab, line feed and carriage return, and the apostrophe) is `null`, and the lowest
//! price of all is printed as any other.

pub(super) mod fields;
pub(super) mod text;

use fields::{Field, Kind};

use super::file::bare_length;
use super::record::{self, u32_at, u64_at};
use crate::clock::UnixNanos;

/// Appends a published record (DBN v3 with `ts_out`) as a JSON object, without line end. A record
/// whose type or length DBN doesn't know is `null`.
pub fn encode(record: &[u8], symbol: &str, out: &mut Vec<u8>) {
    match record.len().checked_sub(8) {
        Some(bare) => encode_bare(&record[..bare], Some(record::ts_out(record)), symbol, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a bare record in the same way, with `ts_out` where it has one.
pub fn encode_bare(bare: &[u8], ts_out: Option<UnixNanos>, symbol: &str, out: &mut Vec<u8>) {
    let Some(fields) = fields_of(bare) else {
        out.extend_from_slice(b"null");
        return;
    };
    object(bare, fields, out);
    out.pop();
    if let Some(ts_out) = ts_out {
        out.extend_from_slice(b",\"ts_out\":");
        text::time(ts_out, out);
    }
    out.extend_from_slice(b",\"symbol\":");
    text::string(symbol, out);
    out.push(b'}');
}

/// A time as JSON text has it, without quotes; `-` where it is 0 or undefined.
pub fn time_text(ns: UnixNanos) -> String {
    let mut out = Vec::new();
    text::time(ns, &mut out);
    let text = String::from_utf8(out).unwrap_or_default();
    if text == "null" { "-".to_owned() } else { text.trim_matches('"').to_owned() }
}

/// The fields of a bare record; none where DBN doesn't know its type or length.
fn fields_of(bare: &[u8]) -> Option<&'static [Field]> {
    let kind = *bare.get(1)?;
    fields::of(kind).filter(|_| bare_length(3, kind) == Some(bare.len()))
}

/// Writes these fields of what begins with `bytes`.
fn object(bytes: &[u8], fields: &[Field], out: &mut Vec<u8>) {
    let begin = out.len();
    for field in fields {
        out.extend_from_slice(field.key);
        value(&bytes[field.at..], field.kind, out);
    }
    // Each key begins with a comma; the first one's place is the brace's.
    out[begin] = b'{';
    out.push(b'}');
}

/// Writes the value that `bytes` begins with.
#[inline]
fn value(bytes: &[u8], kind: Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Time => text::time(u64_at(bytes, 0), out),
        Kind::Price => text::price(u64_at(bytes, 0) as i64, out),
        Kind::Char => text::char(bytes[0], out),
        Kind::U8 => text::unsigned(u64::from(bytes[0]), out),
        Kind::I8 => text::signed(i64::from(bytes[0] as i8), out),
        Kind::U16 => text::unsigned(u64::from(u16_at(bytes)), out),
        Kind::I16 => text::signed(i64::from(u16_at(bytes) as i16), out),
        Kind::U32 => text::unsigned(u64::from(u32_at(bytes, 0)), out),
        Kind::I32 => text::signed(i64::from(u32_at(bytes, 0) as i32), out),
        Kind::U64 => text::quoted(out, |out| text::unsigned(u64_at(bytes, 0), out)),
        Kind::I64 => text::quoted(out, |out| text::signed(u64_at(bytes, 0) as i64, out)),
        Kind::Text(length) => text::string(text::until_nul(&bytes[..length]), out),
        Kind::Object(fields) => object(bytes, fields, out),
        Kind::Levels(count, fields) => levels(bytes, count, fields, out),
    }
}

fn levels(bytes: &[u8], count: usize, fields: &[Field], out: &mut Vec<u8>) {
    out.push(b'[');
    for level in bytes.chunks_exact(fields::LEVEL).take(count) {
        object(level, fields, out);
        out.push(b',');
    }
    out.pop();
    out.push(b']');
}

fn u16_at(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

#[cfg(test)]
mod tests;
