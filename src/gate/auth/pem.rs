//! PEM (RFC 7468): one block, and nothing else that is no comment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The bytes of the one block with this label.
///
/// # Errors
/// What would be right.
pub(super) fn decoded(text: &str, label: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let wrong = || format!("it has to be PEM, one \"BEGIN {label}\"");
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let (_, rest) = text.split_once(&begin).ok_or_else(wrong)?;
    let (body, rest) = rest.split_once(&end).ok_or_else(wrong)?;
    if rest.contains("-----BEGIN") {
        return Err(wrong());
    }
    let body: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(body.as_bytes()).map(Zeroizing::new).map_err(|_| wrong())
}

/// A block.
pub(super) fn encoded(label: &str, der: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    let body = Zeroizing::new(STANDARD.encode(der));
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = encoded("PUBLIC KEY", &bytes);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(*decoded(&text, "PUBLIC KEY").unwrap(), bytes);
        assert_eq!(*decoded(&format!("a comment\n{}", *text), "PUBLIC KEY").unwrap(), bytes);
        for wrong in [
            decoded(&text, "PRIVATE KEY"),
            decoded(&format!("{0}{0}", *text), "PUBLIC KEY"),
            decoded(&text.replace("-----END", ""), "PUBLIC KEY"),
            decoded(&text.replace('A', "!"), "PUBLIC KEY"),
        ] {
            assert!(wrong.is_err());
        }
    }
}
