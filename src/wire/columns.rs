//! A record type as columns: what a table has of it, in the order in which DBN prints it.

use super::json::fields::{self, Field, Kind as FieldKind};

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as in DBN's CSV: `bid_px_00`.
    pub name: String,
    /// Its first byte in a bare record.
    pub at: usize,
    /// What it holds.
    pub kind: Kind,
}

/// What a column holds, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// u64, ns; 0 and the largest: undefined.
    Time,
    /// i64, 1e-9 units; the largest: undefined.
    Price,
    /// One byte; 0: undefined.
    Char,
    /// An unsigned number of so many bytes.
    Unsigned(usize),
    /// A signed number of so many bytes.
    Signed(usize),
    /// So many bytes, UTF-8 with a zero behind it.
    Text(usize),
}

/// The columns of a record type; none for one that DBN doesn't know.
pub fn of(rtype: u8) -> Option<Vec<Column>> {
    let mut columns = Vec::new();
    flatten(fields::of(rtype)?, 0, "", &mut columns);
    Some(columns)
}

fn flatten(fields: &[Field], from: usize, suffix: &str, out: &mut Vec<Column>) {
    for field in fields {
        let at = from + field.at;
        let kind = match field.kind {
            FieldKind::Object(inner) => {
                flatten(inner, at, suffix, out);
                continue;
            }
            FieldKind::Levels(count, inner) => {
                for level in 0..count {
                    flatten(inner, at + level * fields::LEVEL, &format!("_{level:02}"), out);
                }
                continue;
            }
            FieldKind::Time => Kind::Time,
            FieldKind::Price => Kind::Price,
            FieldKind::Char => Kind::Char,
            FieldKind::U8 => Kind::Unsigned(1),
            FieldKind::U16 => Kind::Unsigned(2),
            FieldKind::U32 => Kind::Unsigned(4),
            FieldKind::U64 => Kind::Unsigned(8),
            FieldKind::I8 => Kind::Signed(1),
            FieldKind::I16 => Kind::Signed(2),
            FieldKind::I32 => Kind::Signed(4),
            FieldKind::I64 => Kind::Signed(8),
            FieldKind::Text(length) => Kind::Text(length),
        };
        out.push(Column { name: format!("{}{suffix}", field.name()), at, kind });
    }
}

impl Kind {
    /// The number that `bytes` begin with, of those kinds that are one.
    #[inline]
    pub fn number(self, bytes: &[u8]) -> u64 {
        let mut word = [0; 8];
        let length = match self {
            Self::Time | Self::Price => 8,
            Self::Char => 1,
            Self::Unsigned(length) | Self::Signed(length) => length,
            Self::Text(_) => 0,
        };
        word[..length].copy_from_slice(&bytes[..length]);
        let number = u64::from_le_bytes(word);
        match self {
            Self::Signed(length) => {
                let unused = 64 - 8 * length as u32;
                ((number << unused) as i64 >> unused) as u64
            }
            _ => number,
        }
    }

    /// The text that `bytes` begin with, of a column that holds text.
    pub fn text(self, bytes: &[u8]) -> &str {
        match self {
            Self::Text(length) => super::json::text::until_nul(&bytes[..length]),
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::rtype;

    #[test]
    fn levels_have_columns_of_their_own() {
        let columns = of(rtype::MBP_10).unwrap();
        let last = columns.last().unwrap();
        assert_eq!((columns.len(), &*last.name, last.at), (13 + 60, "ask_ct_09", 364));
        assert_eq!(of(0x77), None);
    }

    #[test]
    fn numbers_keep_their_signs() {
        assert_eq!(Kind::Signed(4).number(&(-5_i32).to_le_bytes()) as i64, -5);
        assert_eq!(Kind::Signed(1).number(&[0x80]) as i64, -128);
        assert_eq!(Kind::Signed(8).number(&i64::MIN.to_le_bytes()) as i64, i64::MIN);
        assert_eq!(Kind::Unsigned(2).number(&[0xff, 0xff]), 65_535);
        assert_eq!(Kind::Price.number(&(-1_i64).to_le_bytes()) as i64, -1);
    }
}
