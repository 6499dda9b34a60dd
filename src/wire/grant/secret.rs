//! Tokens and keys on their way through the program: never shown, wiped when they are dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A text that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// This one.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for who has to read it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown() {
        let secret = Secret::new("eyJhbGciOi".to_owned());
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("eyJ").count(), 0);
        assert_eq!(secret.expose(), "eyJhbGciOi");
    }
}
