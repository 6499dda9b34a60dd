//! What a grant's word is still worth: its key is trusted, and nothing of it is revoked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Grant, Seal};

/// The keys that are trusted, and what is revoked.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Keys by their ids.
    pub keys: HashMap<String, Seal>,
    /// Revoked ids of keys.
    pub revoked_keys: HashSet<String>,
    /// Revoked ids of tokens.
    pub revoked_tokens: HashSet<String>,
    /// Revoked subjects.
    pub revoked_subjects: HashSet<String>,
    /// What API keys give, by their ids: unlike a token, whose word is final, that may change.
    pub grants: HashMap<String, Arc<Grant>>,
}

impl Standing {
    /// Does a grant stand?
    ///
    /// # Errors
    /// Why not, for people.
    pub fn judge(&self, grant: &Grant) -> Result<(), &'static str> {
        let revoked = |token: &String| self.revoked_tokens.contains(token);
        let now = self.grants.get(&grant.key);
        let key = self.keys.get(&grant.key);
        match () {
            () if self.revoked_keys.contains(&grant.key) => Err("its key is revoked"),
            () if key.is_none() => Err("its key is trusted no more"),
            () if key != Some(&grant.seal) => Err("its key has been replaced"),
            () if now.is_some_and(|now| now.subject != grant.subject) => {
                Err("its key is another subject's now")
            }
            () if self.revoked_subjects.contains(&grant.subject) => Err("its subject is revoked"),
            () if grant.token.as_ref().is_some_and(revoked) => Err("it is revoked"),
            () => Ok(()),
        }
    }

    /// What the key of a grant gives by now, where that is something else.
    pub fn newer(&self, grant: &Grant) -> Option<&Arc<Grant>> {
        self.grants.get(&grant.key).filter(|now| ***now != *grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::grant::{Rights, SEAL_BYTES};

    fn grant() -> Grant {
        let (subject, key) = ("alice".to_owned(), "k1".to_owned());
        let (seal, rights) = (Seal::default(), Rights::default());
        Grant { subject, key, seal, token: None, expires: None, rights }
    }

    fn keys(seal: Seal) -> HashMap<String, Seal> {
        HashMap::from([("k1".to_owned(), seal)])
    }

    #[test]
    fn each_of_its_names_can_end_it() {
        let grant = Grant { token: Some("t1".to_owned()), ..grant() };
        let set = |name: &str| HashSet::from([name.to_owned()]);
        let sound = Standing { keys: keys(Seal::default()), ..Standing::default() };
        assert!(sound.judge(&grant).is_ok());
        assert!(Standing::default().judge(&grant).is_err());
        for revoked in [
            Standing { keys: keys(Seal([1; SEAL_BYTES])), ..sound.clone() },
            Standing { revoked_keys: set("k1"), ..sound.clone() },
            Standing { revoked_tokens: set("t1"), ..sound.clone() },
            Standing { revoked_subjects: set("alice"), ..sound.clone() },
        ] {
            assert!(revoked.judge(&grant).is_err(), "{revoked:?}");
        }
    }

    #[test]
    fn what_an_api_key_gives_may_change_and_whose_it_is_may_not() {
        let grant = grant();
        let now = |grant: Grant| Standing {
            keys: keys(Seal::default()),
            grants: HashMap::from([("k1".to_owned(), Arc::new(grant))]),
            ..Standing::default()
        };
        let same = now(grant.clone());
        assert!(same.judge(&grant).is_ok() && same.newer(&grant).is_none());
        let more = now(Grant { rights: Rights::all(), ..grant.clone() });
        assert!(more.judge(&grant).is_ok());
        assert_eq!(more.newer(&grant).unwrap().rights, Rights::all());
        let other = now(Grant { subject: "bob".to_owned(), ..grant.clone() });
        assert!(other.judge(&grant).is_err());
    }
}
