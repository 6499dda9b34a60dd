//! The two encodings of data, and what a client calls them.

/// How data frames are written on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Binary messages: a batch header, then DBN records.
    Dbn,
    /// Text messages, for people and browsers.
    Json,
}

impl Encoding {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Dbn, Self::Json];

    /// Its value of `?encoding=`, and its name in `welcome`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dbn => "dbn",
            Self::Json => "json",
        }
    }

    /// Its WebSocket subprotocol.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Dbn => "broadtape.dbn.v1",
            Self::Json => "broadtape.json.v1",
        }
    }

    /// The encoding of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }

    /// The encoding of this subprotocol.
    pub fn from_subprotocol(subprotocol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.subprotocol() == subprotocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::from_name(encoding.name()), Some(encoding));
            assert_eq!(Encoding::from_subprotocol(encoding.subprotocol()), Some(encoding));
        }
        assert_eq!(Encoding::from_name("DBN"), None);
        assert_eq!(Encoding::from_subprotocol("broadtape.dbn.v2"), None);
    }
}
