//! What somebody may: who it is, which records, how far back, how often, until when.
//!
//! A grant comes from the claims of a token or from the entry of an API key. What it does not name
//! it does not give.

mod claims;
mod scope;
mod seal;
mod secret;
mod standing;

use std::sync::Arc;
use std::time::Duration;

pub use claims::{Claims, Depth, Names, RightsError, object};
pub use scope::Scope;
pub use seal::{SEAL_BYTES, Seal};
pub use secret::Secret;
pub use standing::Standing;

use super::instrument::bit;
use super::record::{Schema, schemas};
use super::text::{Object, string};
use crate::clock::UnixNanos;

/// Bytes of rights behind their symbols, at most.
const TAIL: usize = 256;

/// Who somebody is, and what that gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub subject: String,
    /// The key that vouches for it: the `kid` of a token, the id of an API key.
    pub key: String,
    /// Which key that is: its id may be another's by now.
    pub seal: Seal,
    /// The token's own id (`jti`), where it has one.
    pub token: Option<String>,
    /// When it ends, ns; none where it ends with its key.
    pub expires: Option<UnixNanos>,
    /// What it gives.
    pub rights: Rights,
}

/// What is given. The default is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Bit `1 << schema` for each schema.
    pub schemas: u32,
    /// The instruments; none: all.
    pub symbols: Option<Arc<Scope>>,
    /// How far back `from` and a replay may reach.
    pub history: Duration,
    /// May it have recordings replayed?
    pub replay: bool,
    /// May it publish?
    pub publish: bool,
    /// May it see who is connected, and the metrics?
    pub admin: bool,
    /// Updates a second and instrument at most; none: every record.
    pub max_rate: Option<u32>,
    /// Connections at once; none: as many as the server takes.
    pub connections: Option<u32>,
    /// Records come at least this late; zero: at once.
    pub delay: Duration,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            schemas: 0,
            symbols: Some(Arc::default()),
            history: Duration::ZERO,
            replay: false,
            publish: false,
            admin: false,
            max_rate: None,
            connections: None,
            delay: Duration::ZERO,
        }
    }
}

impl Rights {
    /// Everything.
    pub fn all() -> Self {
        Self {
            schemas: u32::MAX,
            symbols: None,
            history: Duration::MAX,
            replay: true,
            publish: true,
            admin: true,
            max_rate: None,
            connections: None,
            delay: Duration::ZERO,
        }
    }

    /// Is this schema given?
    pub fn has_schema(&self, schema: Schema) -> bool {
        self.schemas & bit(schema) != 0
    }

    /// Is this instrument given?
    pub fn has_symbol(&self, symbol: &str) -> bool {
        self.symbols.as_ref().is_none_or(|scope| scope.allows(symbol))
    }

    /// Nothing published before this is given, ns.
    pub fn since(&self, now: UnixNanos) -> UnixNanos {
        now.saturating_sub(nanos(self.history))
    }

    /// Nothing published after this is given, ns.
    pub fn until(&self, now: UnixNanos) -> UnixNanos {
        match self.delay {
            Duration::ZERO => UnixNanos::MAX,
            delay => now.saturating_sub(nanos(delay)),
        }
    }

    /// Their fields, as many symbols as fit within `end` bytes of the buffer.
    fn fields<'o>(&self, o: Object<'o>, end: usize) -> Object<'o> {
        let given = schemas().filter(|schema| self.has_schema(*schema));
        let o = match self.schemas {
            u32::MAX => o.text("schemas", "*"),
            _ => o.list("schemas", given, |out, schema| string(out, schema.as_str())),
        };
        let o = match &self.symbols {
            None => o.text("symbols", "*"),
            Some(scope) => o.list_within("symbols", end, scope.texts(), string).0,
        };
        let o = match self.history {
            Duration::MAX => o.text("history", "all"),
            history => o.long("history", history.as_secs()),
        };
        let o = o.flag("replay", self.replay).flag("publish", self.publish);
        let o = o.flag("admin", self.admin).long("delay", self.delay.as_secs());
        let or_null = |o: Object<'o>, name: &str, value: Option<u32>| match value {
            Some(value) => o.number(name, value),
            None => o.null(name),
        };
        or_null(or_null(o, "max_rate", self.max_rate), "connections", self.connections)
    }
}

impl Grant {
    /// Its fields in the answer to `auth`.
    pub(super) fn fields<'o>(&self, o: Object<'o>, end: usize) -> Object<'o> {
        let o = o.text("subject", &self.subject);
        let o = match self.expires {
            Some(at) => o.long("expires", at),
            None => o.null("expires"),
        };
        o.object("entitlements", |o| self.rights.fields(o, end.saturating_sub(TAIL)))
    }
}

/// How a request came in.
#[derive(Clone, Debug)]
pub enum Access {
    /// Nobody is asked who they are.
    Open,
    /// It has not said who it is.
    Anonymous,
    /// It has.
    Granted(Arc<Grant>),
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_not_given() {
        let nothing = Rights::default();
        assert!(!nothing.has_schema(Schema::Trades));
        assert!(!nothing.replay && !nothing.admin && !nothing.publish);
        assert_eq!((nothing.since(500), nothing.until(500)), (500, u64::MAX));
        let rights = Rights { delay: Duration::from_nanos(100), ..Rights::all() };
        assert_eq!((rights.since(500), rights.until(500)), (0, 400));
    }
}
