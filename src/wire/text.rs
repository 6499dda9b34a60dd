//! JSON text, written straight into a buffer: no tree, no allocation of its own.

/// An object being written. Fields are appended in the order of the calls.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Closes it.
    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A string.
    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        string(self.key(name), text);
        self
    }

    /// A number that fits every reader.
    pub(super) fn number(mut self, name: &str, n: u32) -> Self {
        decimal(self.key(name), u64::from(n));
        self
    }

    /// A 64-bit integer, as a decimal string.
    pub(super) fn long(mut self, name: &str, n: u64) -> Self {
        let out = self.key(name);
        out.push(b'"');
        decimal(out, n);
        out.push(b'"');
        self
    }

    /// `true` or `false`.
    pub(super) fn flag(mut self, name: &str, is: bool) -> Self {
        let word: &[u8] = if is { b"true" } else { b"false" };
        self.key(name).extend_from_slice(word);
        self
    }

    /// `null`.
    pub(super) fn null(mut self, name: &str) -> Self {
        self.key(name).extend_from_slice(b"null");
        self
    }

    /// Whatever `write` appends: one value.
    pub(super) fn value(mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        write(self.key(name));
        self
    }

    /// An object that `fields` fills.
    pub(super) fn object(self, name: &str, fields: impl FnOnce(Object<'_>) -> Object<'_>) -> Self {
        self.value(name, |out| fields(Object::open(out)).close())
    }

    /// A list of what `write` appends for each item.
    pub(super) fn list<T>(
        self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Vec<u8>, T),
    ) -> Self {
        self.list_within(name, usize::MAX, items, write).0
    }

    /// A list of as many items as fit while the buffer stays within `end` bytes (the list itself is
    /// always written), and how many did.
    pub(super) fn list_within<T>(
        mut self,
        name: &str,
        end: usize,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) -> (Self, usize) {
        let out = self.key(name);
        out.push(b'[');
        let mut written = 0;
        for item in items {
            let mark = out.len();
            if written > 0 {
                out.push(b',');
            }
            write(out, item);
            if out.len() >= end {
                out.truncate(mark);
                break;
            }
            written += 1;
        }
        out.push(b']');
        (self, written)
    }

    /// A list, whole; nothing at all, not even its name, where the buffer would exceed `end` bytes.
    pub(super) fn list_whole<T>(
        self,
        name: &str,
        end: usize,
        items: &[T],
        mut write: impl FnMut(&mut Vec<u8>, &T),
    ) -> Self {
        let (mark, empty) = (self.out.len(), self.empty);
        let (object, written) = self.list_within(name, end, items, &mut write);
        if written == items.len() && object.out.len() <= end {
            return object;
        }
        object.out.truncate(mark);
        Self { out: object.out, empty }
    }
}

/// Appends a quoted, escaped string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends the decimal digits of a number.
pub(super) fn decimal(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_reads_as_it_was_written() {
        let mut out = Vec::new();
        Object::open(&mut out)
            .text("a", "x")
            .number("b", u32::MAX)
            .long("c", u64::MAX)
            .flag("d", true)
            .null("e")
            .object("f", |o| o)
            .list("g", [1, 2], decimal)
            .close();
        let text = concat!(
            r#"{"a":"x","b":4294967295,"c":"18446744073709551615","#,
            r#""d":true,"e":null,"f":{},"g":[1,2]}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn lists_keep_to_their_end() {
        for end in 0..20 {
            let mut out = Vec::new();
            let (o, written) = Object::open(&mut out).list_within("g", end, [1, 2, 3], decimal);
            o.close();
            let fit = "{\"g\":[".len() + 2 * written;
            assert!(written == 0 || fit <= end, "{end}: {written}");
            assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
            let mut whole = Vec::new();
            Object::open(&mut whole)
                .list_whole("g", end, &[1, 2, 3], |out, &n| decimal(out, n))
                .null("h")
                .close();
            let text = String::from_utf8(whole).unwrap();
            let fits = end >= "{\"g\":[1,2,3]".len();
            let right = if fits { r#"{"g":[1,2,3],"h":null}"# } else { r#"{"h":null}"# };
            assert_eq!(text, right, "{end}");
        }
    }

    proptest! {
        #[test]
        fn strings_and_numbers_come_back(text in any::<String>(), n: u64) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            out.clear();
            decimal(&mut out, n);
            prop_assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
    }
}
