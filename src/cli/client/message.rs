//! A server's control messages, as far as the tools look into them.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A 64-bit integer: a decimal string on the wire, plain integers are accepted as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer as a decimal string")
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom(format!("{text:?} is no integer")))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The first message of a connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Welcome {
    /// Of the server or of the protocol, in its own words.
    #[serde(default)]
    version: Value,
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Value::Null => write!(f, "server of no version"),
            Value::String(version) => write!(f, "server version {version}"),
            version => write!(f, "server version {version}"),
        }
    }
}

/// What the server counts for this connection, in `heartbeat` and in the answer to `subscriptions`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Counts {
    pub(crate) records: Option<Number>,
    #[serde(default)]
    pub(crate) subscriptions: Vec<SubscriptionCounts>,
    /// Not all subscriptions fit this message.
    #[serde(default)]
    pub(crate) next: Value,
}

/// One subscription's part of [`Counts`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SubscriptionCounts {
    pub(crate) records: Number,
    pub(crate) conflated: Number,
    pub(crate) dropped: Number,
}

/// Records that this client will not get.
#[derive(Debug, Deserialize)]
pub(crate) struct Gap {
    from_seq: Number,
    to_seq: Number,
    /// None where it can't be known.
    pub(crate) records: Option<Number>,
    #[serde(default)]
    reason: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.records {
            Some(records) => write!(f, "gap: {} records lost", records.0)?,
            None => write!(f, "gap: records lost, it is not known how many")?,
        }
        write!(f, " between positions {} and {} ({})", self.from_seq.0, self.to_seq.0, self.reason)
    }
}

/// The queue passed half of its limit.
#[derive(Debug, Deserialize)]
pub(crate) struct Lagging {
    bytes: Option<Number>,
}

impl fmt::Display for Lagging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lagging: {} bytes wait at the server", self.bytes.unwrap_or_default().0)
    }
}

/// Why the server closes the connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Closing {
    code: u16,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, " ({})", self.message) }
    }
}

/// What became of a feed, a clock or the recorder.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    #[serde(default)]
    source: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    message: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status of the server: {} {}", self.source, self.state)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, " ({})", self.message) }
    }
}

/// What was wrong with a request, or on its own.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    code: u16,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

/// A symbol that a subscription leaves out.
#[derive(Debug, Deserialize)]
pub(crate) struct Rejected {
    symbol: String,
    code: u16,
    #[serde(default)]
    reason: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.symbol, self.code, self.reason)
    }
}

/// Which instrument a symbol stands for.
#[derive(Debug, Deserialize)]
pub(crate) struct Mapped {
    pub(crate) symbol: String,
    pub(crate) instrument_id: u32,
}

/// The result of `subscribe`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Subscribed {
    pub(crate) instruments: Vec<Mapped>,
    pub(crate) rejected: Vec<Rejected>,
    /// Rejected symbols that did not fit the answer.
    pub(crate) rejected_more: usize,
}

/// The answer to one request.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    /// None where the server could not read it.
    pub(crate) method: Option<String>,
    pub(crate) success: bool,
    #[serde(default)]
    result: Value,
    error: Option<Failure>,
}

impl Answer {
    /// The result of a request that succeeded.
    ///
    /// # Errors
    /// The server's refusal in its words, or what can't be read of the result.
    pub(crate) fn result<T: serde::de::DeserializeOwned>(self) -> Result<T, String> {
        let method = self.method.as_deref().unwrap_or("request");
        if !self.success {
            let why = self.error.map_or_else(|| "no reason given".to_owned(), |e| e.to_string());
            return Err(format!("{method} refused with {why}"));
        }
        serde_json::from_value(self.result).map_err(|e| format!("result of {method}: {e}"))
    }
}

/// A text message that is no data.
#[derive(Debug)]
pub(crate) enum Message {
    Welcome(Welcome),
    Answer(Answer),
    Heartbeat(Counts),
    Gap(Gap),
    Lagging(Lagging),
    Closing(Closing),
    Status(Status),
    Error(Failure),
    /// Of a type that the tools have no use for.
    Other,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// What can't be read, and why.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: Option<String>,
            success: Option<bool>,
        }
        let kind: Kind = read(text)?;
        if kind.success.is_some() {
            return read(text).map(Self::Answer);
        }
        match kind.r#type.as_deref() {
            Some("welcome") => read(text).map(Self::Welcome),
            Some("heartbeat") => read(text).map(Self::Heartbeat),
            Some("gap") => read(text).map(Self::Gap),
            Some("lagging") => read(text).map(Self::Lagging),
            Some("closing") => read(text).map(Self::Closing),
            Some("status") => read(text).map(Self::Status),
            Some("error") => {
                #[derive(Deserialize)]
                struct Wrapped {
                    error: Failure,
                }
                read::<Wrapped>(text).map(|w| Self::Error(w.error))
            }
            _ => Ok(Self::Other),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|e| {
        let quote: String = String::from_utf8_lossy(text).chars().take(120).collect();
        format!("message {quote:?} can't be read: {e}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_as_strings_or_plain() {
        let read = |text| serde_json::from_str::<Number>(text).ok().map(|n| n.0);
        assert_eq!(read("\"18446744073709551615\""), Some(u64::MAX));
        assert_eq!(read("7"), Some(7));
        assert_eq!((read("-7"), read("\"x\""), read("1.5")), (None, None, None));
    }

    #[test]
    fn a_heartbeat_counts_for_each_subscription() {
        let text = br#"{"type":"heartbeat","server_time":"1","epoch":"2","seq":"3","records":"12",
            "subscriptions":[{"subscription":1,"records":"12","conflated":"4","dropped":"5"}]}"#;
        let Ok(Message::Heartbeat(counts)) = Message::parse(text) else { panic!("no heartbeat") };
        assert_eq!(counts.records, Some(Number(12)));
        assert_eq!(counts.subscriptions[0].dropped, Number(5));
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let text = br#"{"id":1,"method":"subscribe","success":false,
            "error":{"code":404,"reason":"unknown_symbol","message":"no ABC"}}"#;
        let Ok(Message::Answer(answer)) = Message::parse(text) else { panic!("no answer") };
        let refused = answer.result::<Subscribed>().unwrap_err();
        assert_eq!(refused, "subscribe refused with 404 unknown_symbol: no ABC");
    }

    #[test]
    fn types_that_are_new_are_skipped_and_garbage_is_not() {
        assert!(matches!(Message::parse(br#"{"type":"live","seq":"1"}"#), Ok(Message::Other)));
        assert!(Message::parse(b"hello").unwrap_err().contains("\"hello\""));
    }
}
