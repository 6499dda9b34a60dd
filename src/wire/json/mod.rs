//! A record as JSON text: what DBN's own encoder prints with pretty prices and times and the symbol
//! mapped, from a table of fields instead of a type, into a buffer that is kept.
//!
//! It differs where DBN's text would be no JSON or its encoder would panic, which only damaged
//! records reach: a one-character field that JSON has no short escape for (bytes above 0x7e,
//! control characters but tab, line feed and carriage return, and the apostrophe) is `null`, and
//! the lowest price of all is printed as any other.

mod fields;
mod text;

use fields::{Field, Kind};

use super::file::bare_length;
use super::record::{self, u32_at, u64_at};

/// Appends a published record (DBN v3 with `ts_out`) as a JSON object, without line end. A record
/// whose type or length DBN doesn't know is `null`.
pub fn encode(record: &[u8], symbol: &str, out: &mut Vec<u8>) {
    let Some((fields, bare)) = table(record) else {
        out.extend_from_slice(b"null");
        return;
    };
    object(bare, fields, out);
    out.pop();
    out.extend_from_slice(b",\"ts_out\":");
    text::time(record::ts_out(record), out);
    out.extend_from_slice(b",\"symbol\":");
    text::string(symbol, out);
    out.push(b'}');
}

/// The fields of a published record, and its bytes without `ts_out`.
fn table(record: &[u8]) -> Option<(&'static [Field], &[u8])> {
    let kind = *record.get(1)?;
    let bare = bare_length(3, kind)?;
    let fields = fields::of(kind)?;
    (record.len() == bare + 8).then(|| (fields, &record[..bare]))
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
