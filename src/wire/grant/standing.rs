//! What a grant's word is still worth: its key is trusted, and nothing of it is revoked.

use std::collections::HashSet;

use super::Grant;

/// The keys that are trusted, and what is revoked.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Ids of keys.
    pub keys: HashSet<String>,
    /// Revoked ids of keys.
    pub revoked_keys: HashSet<String>,
    /// Revoked ids of tokens.
    pub revoked_tokens: HashSet<String>,
    /// Revoked subjects.
    pub revoked_subjects: HashSet<String>,
}

impl Standing {
    /// Does a grant stand?
    ///
    /// # Errors
    /// Why not, for people.
    pub fn judge(&self, grant: &Grant) -> Result<(), &'static str> {
        let revoked = |token: &String| self.revoked_tokens.contains(token);
        match () {
            () if self.revoked_keys.contains(&grant.key) => Err("its key is revoked"),
            () if !self.keys.contains(&grant.key) => Err("its key is trusted no more"),
            () if self.revoked_subjects.contains(&grant.subject) => Err("its subject is revoked"),
            () if grant.token.as_ref().is_some_and(revoked) => Err("it is revoked"),
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::grant::Rights;

    #[test]
    fn each_of_its_names_can_end_it() {
        let (subject, key) = ("alice".to_owned(), "k1".to_owned());
        let token = Some("t1".to_owned());
        let grant = Grant { subject, key, token, expires: None, rights: Rights::default() };
        let set = |name: &str| HashSet::from([name.to_owned()]);
        let sound = Standing { keys: set("k1"), ..Standing::default() };
        assert!(sound.judge(&grant).is_ok());
        assert!(Standing::default().judge(&grant).is_err());
        for revoked in [
            Standing { revoked_keys: set("k1"), ..sound.clone() },
            Standing { revoked_tokens: set("t1"), ..sound.clone() },
            Standing { revoked_subjects: set("alice"), ..sound.clone() },
        ] {
            assert!(revoked.judge(&grant).is_err(), "{revoked:?}");
        }
    }
}
