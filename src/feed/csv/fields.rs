//! The fields of a line of CSV.

/// Fields of a line that are read.
const FIELDS_MAX: usize = 1024;

/// Splits a line; a field may be quoted, a quote in it is doubled.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn split(line: &str, delimiter: char) -> Result<Vec<String>, String> {
    let (mut fields, mut chars) = (Vec::new(), line.chars().peekable());
    loop {
        let mut field = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_none() => break,
                    Some(c) => field.push(c),
                    None => return Err("a quoted field has no end on its line".to_owned()),
                }
            }
        }
        while let Some(c) = chars.next_if(|c| *c != delimiter) {
            field.push(c);
        }
        fields.push(field);
        if fields.len() > FIELDS_MAX {
            return Err(format!("more than {FIELDS_MAX} fields"));
        }
        if chars.next().is_none() {
            return Ok(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let of = |line| split(line, ',').unwrap();
        assert_eq!(of("a,,\"b,\"\"c\"\"\",d"), ["a", "", "b,\"c\"", "d"]);
        assert_eq!((of(""), of(",")), (vec![String::new()], vec![String::new(); 2]));
        assert!(split("\"a,b", ',').is_err());
        assert!(split(&",".repeat(5000), ',').is_err());
    }
}
