//! JSON from strangers: no key twice, bounded depth, bounded objects; borrows what it can.
//!
//! `serde_json` checks the grammar; what it would let pass (a repeated key, a hundred nested lists)
//! is refused here, and the fields of the outermost object are kept even where a later byte is
//! wrong, so that an answer can name the request that it refuses.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::limits::{JSON_DEPTH, JSON_FIELDS};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without sign, fraction or exponent, up to 2^64 − 1.
    Integer(u64),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object, in the order it was written.
    Object(Fields<'a>),
}

/// Names and values of an object, no name twice.
pub(super) type Fields<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

impl Json<'_> {
    /// What it is, in words, short enough for a message: `"abc"`, `7`, `a list`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(is) => is.to_string(),
            Self::Integer(n) => n.to_string(),
            Self::Number(n) => n.to_string(),
            Self::Text(text) => quoted(text),
            Self::List(_) => "a list".into(),
            Self::Object(_) => "an object".into(),
        }
    }
}

/// A stranger's text in quotes, escaped, cut to 32 bytes.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 32;
    match text.floor_char_boundary(SHOWN) {
        cut if cut < text.len() => format!("{:?}…", &text[..cut]),
        _ => format!("{text:?}"),
    }
}

/// Reads one object. `fields` receives what was read of it, also where the rest is wrong.
///
/// # Errors
/// What was wrong, and where (line and column).
pub(super) fn object<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Outermost(fields).deserialize(&mut reader)?;
    reader.end()
}

struct Outermost<'f, 'a>(&'f mut Fields<'a>);

impl<'a> DeserializeSeed<'a> for Outermost<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Outermost<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an object such as {"id":1,"method":"ping"}"#)
    }

    fn visit_map<M: MapAccess<'a>>(self, map: M) -> Result<(), M::Error> {
        fields_into(self.0, map, JSON_DEPTH)
    }
}

/// Reads one value, `depth` levels of lists and objects deep at most.
struct Value {
    depth: usize,
}

impl<'a> DeserializeSeed<'a> for Value {
    type Value = Json<'a>;

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<Json<'a>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value {
    type Value = Json<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'a>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Json<'a>, E> {
        Ok(Json::Bool(is))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Json<'a>, E> {
        Ok(Json::Integer(n))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Json<'a>, E> {
        Ok(Json::Number(n as f64))
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Json<'a>, E> {
        Ok(Json::Number(n))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Json<'a>, S::Error> {
        let depth = deeper(self.depth)?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(Self { depth })? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<M: MapAccess<'a>>(self, map: M) -> Result<Json<'a>, M::Error> {
        let mut fields = Fields::new();
        fields_into(&mut fields, map, self.depth)?;
        Ok(Json::Object(fields))
    }
}

fn deeper<E: Error>(depth: usize) -> Result<usize, E> {
    let too_deep = || E::custom(format_args!("nested more than {JSON_DEPTH} deep"));
    depth.checked_sub(1).ok_or_else(too_deep)
}

fn fields_into<'a, M: MapAccess<'a>>(
    fields: &mut Fields<'a>,
    mut map: M,
    depth: usize,
) -> Result<(), M::Error> {
    let depth = deeper(depth)?;
    while let Some(Json::Text(name)) = map.next_key_seed(Value { depth: 0 })? {
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(M::Error::custom(format_args!(
                "field {} stands there twice",
                quoted(&name)
            )));
        }
        if fields.len() == JSON_FIELDS {
            return Err(M::Error::custom(format_args!("more than {JSON_FIELDS} fields")));
        }
        let value = map.next_value_seed(Value { depth })?;
        fields.push((name, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Fields<'_>, Option<String>) {
        let mut fields = Fields::new();
        let wrong = object(text, &mut fields).err().map(|e| e.to_string());
        (fields, wrong)
    }

    #[test]
    fn values_are_what_was_written() {
        let (fields, wrong) = read(r#" {"a":[1,-1,18446744073709551615,1e2,null,true,"x\n"]} "#);
        assert_eq!(wrong, None);
        let text = Json::Text("x\n".into());
        let list = vec![
            Json::Integer(1),
            Json::Number(-1.0),
            Json::Integer(u64::MAX),
            Json::Number(100.0),
            Json::Null,
            Json::Bool(true),
            text,
        ];
        assert_eq!(fields, [("a".into(), Json::List(list))]);
    }

    #[test]
    fn what_was_read_survives_what_is_wrong_later() {
        for (text, says) in [
            (r#"{"id":1,"id":2}"#, "\"id\" stands there twice"),
            (r#"{"id":1} x"#, "trailing characters"),
            (r#"{"id":1,"x":NaN}"#, "expected value"),
            (r#"{"id":1,"x":1e999}"#, "number out of range"),
            (r#"{"id":1,"x":"\ud800"}"#, "unexpected end of hex escape"),
            (r#"{"id":1,"x":{"y":1,"y":1}}"#, "\"y\" stands there twice"),
            (r#"{"id":1,"#, "EOF"),
        ] {
            let (fields, wrong) = read(text);
            assert_eq!(fields.first(), Some(&("id".into(), Json::Integer(1))), "{text}");
            let wrong = wrong.expect(text);
            assert!(wrong.contains(says) && wrong.contains("line 1 column"), "{text}: {wrong}");
        }
    }

    #[test]
    fn depth_and_width_are_bounded() {
        let nest = |n: usize| format!(r#"{{"x":{}1{}}}"#, "[".repeat(n), "]".repeat(n));
        assert_eq!(read(&nest(JSON_DEPTH - 1)).1, None);
        for depth in [JSON_DEPTH, 100, 30_000] {
            assert!(read(&nest(depth)).1.unwrap().contains("nested more than"), "{depth}");
        }
        let wide: Vec<_> = (0..=JSON_FIELDS).map(|n| format!(r#""{n}":0"#)).collect();
        assert_eq!(read(&format!("{{{}}}", wide[1..].join(","))).1, None);
        let wrong = read(&format!("{{{}}}", wide.join(","))).1.unwrap();
        assert!(wrong.contains("more than 16 fields"), "{wrong}");
    }

    #[test]
    fn only_an_object_is_read() {
        for text in ["", "1", "[]", "\"x\"", "null", "\u{feff}{}", "{'a':1}", "{\"a\":01}"] {
            assert!(read(text).1.is_some(), "{text}");
        }
    }

    #[test]
    fn a_strangers_text_is_cut_and_escaped() {
        assert_eq!(quoted("a\"\n"), r#""a\"\n""#);
        assert_eq!(quoted(&"é".repeat(40)), format!("\"{}\"…", "é".repeat(16)));
    }
}
