//! Requests: what a client asks for, parsed from its text.

use arrayvec::ArrayString;

use super::error::{ControlError, ErrorCode};
use super::grant::Secret;
use super::params::{Params, wrong};
use super::replay::{self, Control, Replay};
use super::strict::{self, Fields, Json, quoted};
use super::subscribe::{Subscribe, Unsubscribe, subscribes, unsubscribe};
use crate::limits::{ClientLimits, REQUEST_ID_BYTES, TOKEN_BYTES, WS_CONTROL_MAX};

/// The largest integer id: beyond it, readers that hold numbers as doubles would change it.
pub const ID_MAX: u64 = (1 << 53) - 1;

/// The methods there are.
pub const METHODS: [&str; 12] = [
    "subscribe",
    "unsubscribe",
    "subscriptions",
    "ping",
    "replay",
    "pause",
    "resume",
    "seek",
    "speed",
    "step",
    "stop",
    "auth",
];

/// A method name longer than this is not repeated in the answer.
const METHOD_ECHO: usize = 32;
/// Words about bad JSON are cut here: they may quote the client.
const WORDS_MAX: usize = 200;

/// What the answer to a request carries, so that its client knows which one it answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// 0 to [`ID_MAX`].
    Number(u64),
    /// Up to 36 bytes: a UUID fits.
    Text(ArrayString<REQUEST_ID_BYTES>),
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Send these from now on.
    Subscribe {
        /// At least one.
        wishes: Vec<Subscribe>,
        /// They came as a list, so the result is one.
        as_list: bool,
    },
    /// Send this no longer.
    Unsubscribe(Unsubscribe),
    /// What is subscribed?
    Subscriptions {
        /// Only those with a greater number.
        after: Option<u32>,
    },
    /// Are you there, and what time is it?
    Ping {
        /// Comes back; at most 125 bytes.
        data: Option<String>,
    },
    /// This is who I am.
    Auth {
        /// By this.
        token: Secret,
    },
    /// Send what was recorded.
    Replay(Box<Replay>),
    /// Do this with the replay.
    Control {
        /// What to do.
        control: Control,
        /// Which one is meant; there is one at most.
        replay: Option<u32>,
    },
}

impl Method {
    /// Its name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => METHODS[0],
            Self::Unsubscribe(_) => METHODS[1],
            Self::Subscriptions { .. } => METHODS[2],
            Self::Ping { .. } => METHODS[3],
            Self::Replay(_) => METHODS[4],
            Self::Control { control, .. } => control.name(),
            Self::Auth { .. } => METHODS[11],
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What its answer carries.
    pub id: Id,
    /// What is asked for.
    pub method: Method,
}

/// A text that is no request, with what its answer can carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// The id, where it could be read.
    pub id: Option<Id>,
    /// The method's name, where it could be read and is short.
    pub method: Option<String>,
    /// What was wrong.
    pub error: ControlError,
}

/// Reads a request.
///
/// # Errors
/// [`Refused`]: nothing of the request may be done then, and its answer is made from that.
pub fn parse(text: &str, limits: &ClientLimits) -> Result<Request, Box<Refused>> {
    let mut fields = Fields::new();
    let syntax = strict::object(text, &mut fields);
    let envelope = Json::Object(fields);
    let refused = |error| Box::new(refused(&envelope, error));
    syntax.map_err(|e| refused(malformed(&e.to_string())))?;
    request(&envelope, limits).map_err(refused)
}

fn request(envelope: &Json<'_>, limits: &ClientLimits) -> Result<Request, ControlError> {
    let of_envelope = |mut error: ControlError| {
        error.code = ErrorCode::Malformed;
        error
    };
    let envelope = Params::new("the request", envelope, "an object").map_err(of_envelope)?;
    envelope.only(&["id", "method", "params"]).map_err(of_envelope)?;
    let id = id(envelope.get("id"))?;
    let method = match envelope.get("method") {
        Some(Json::Text(name)) => method(name, envelope.get("params"), limits)?,
        Some(other) => return Err(of_envelope(wrong("method", other, "its name, a string"))),
        None => return Err(malformed(&format!("method is missing: give {}", METHODS.join(", ")))),
    };
    Ok(Request { id, method })
}

fn method(
    name: &str,
    params: Option<&Json<'_>>,
    limits: &ClientLimits,
) -> Result<Method, ControlError> {
    let none = Json::Object(Fields::new());
    let params = params.unwrap_or(&none);
    Ok(match name {
        "subscribe" => {
            let (wishes, as_list) = subscribes(params, limits.symbols)?;
            Method::Subscribe { wishes, as_list }
        }
        "unsubscribe" => Method::Unsubscribe(unsubscribe(params, limits.symbols)?),
        "subscriptions" => {
            let params = Params::new("params", params, r#"{}, or {"after":…}"#)?;
            params.only(&["after"])?;
            Method::Subscriptions { after: params.subscription("after")? }
        }
        "ping" => {
            let params = Params::new("params", params, r#"{}, or {"data":"…"}"#)?;
            params.only(&["data"])?;
            Method::Ping { data: params.text("data", WS_CONTROL_MAX)?.map(str::to_owned) }
        }
        "auth" => Method::Auth { token: token(params)? },
        "replay" => Method::Replay(Box::new(replay::replay(params, limits.symbols)?)),
        known if replay::CONTROLS.contains(&known) => {
            let (control, replay) = replay::control(known, params)?;
            Method::Control { control, replay }
        }
        unknown => {
            let (name, methods) = (quoted(unknown), METHODS.join(", "));
            let says = format!("there is no method {name}: there are {methods}");
            return Err(ControlError::new(ErrorCode::UnknownMethod, says));
        }
    })
}

/// A refusal does not quote it.
fn token(params: &Json<'_>) -> Result<Secret, ControlError> {
    let right = r#"an object such as {"token":"…"}"#;
    let params = Params::new("params", params, right)?;
    params.only(&["token"])?;
    match params.get("token") {
        Some(Json::Text(text)) if (1..=TOKEN_BYTES).contains(&text.len()) => {
            Ok(Secret::new(text.to_string()))
        }
        _ => {
            let says = format!("params.token has to be a string of 1 to {TOKEN_BYTES} bytes");
            Err(ControlError::new(ErrorCode::BadParams, says))
        }
    }
}

fn id(value: Option<&Json<'_>>) -> Result<Id, ControlError> {
    let right = "an integer from 0 to 2^53 - 1, or a string of at most 36 bytes";
    let Some(value) = value else { return Err(malformed(&format!("id is missing: give {right}"))) };
    let id = match value {
        Json::Integer(n) if *n <= ID_MAX => Some(Id::Number(*n)),
        Json::Text(text) => ArrayString::from(text).ok().map(Id::Text),
        _ => None,
    };
    id.ok_or_else(|| malformed(&format!("id is {}: give {right}", value.describe())))
}

fn refused(envelope: &Json<'_>, error: ControlError) -> Refused {
    let Json::Object(fields) = envelope else { return Refused { id: None, method: None, error } };
    let get = |name| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let method = match get("method") {
        Some(Json::Text(name)) if name.len() <= METHOD_ECHO => Some(name.to_string()),
        _ => None,
    };
    Refused { id: id(get("id")).ok(), method, error }
}

fn malformed(words: &str) -> ControlError {
    let words = words[..words.floor_char_boundary(WORDS_MAX)].to_owned();
    ControlError::new(ErrorCode::Malformed, words)
}

const _: () = assert!(REQUEST_ID_BYTES == 36, "said in words above");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(text: &str) -> Box<Refused> {
        parse(text, &ClientLimits::default()).expect_err(text)
    }

    fn method_of(text: &str) -> Method {
        parse(text, &ClientLimits::default()).unwrap_or_else(|e| panic!("{text}: {e}")).method
    }

    #[test]
    fn every_method_is_read() {
        let ping = r#"{"id":1,"method":"ping","params":{"data":"x"}}"#;
        assert_eq!(method_of(ping), Method::Ping { data: Some("x".into()) });
        let list = r#"{"id":"a","method":"subscriptions","params":{"after":7}}"#;
        assert_eq!(method_of(list), Method::Subscriptions { after: Some(7) });
        let end = r#"{"method":"unsubscribe","id":0,"params":{"subscription":3}}"#;
        assert_eq!(method_of(end), Method::Unsubscribe(Unsubscribe::Subscription(3)));
        assert_eq!(method_of(r#"{"id":1,"method":"ping"}"#).name(), "ping");
    }

    #[test]
    fn ids_are_numbers_or_short_strings() {
        let widest = "x".repeat(36);
        for (text, id) in [
            ("0", Id::Number(0)),
            ("9007199254740991", Id::Number(ID_MAX)),
            (r#""""#, Id::Text(ArrayString::new())),
            (&format!("\"{widest}\""), Id::Text(ArrayString::from(&widest).unwrap())),
        ] {
            let request = format!(r#"{{"id":{text},"method":"ping"}}"#);
            assert_eq!(parse(&request, &ClientLimits::default()).unwrap().id, id);
        }
        let long = format!("\"{}\"", "x".repeat(37));
        for text in ["-1", "9007199254740992", "1.0", "1e3", "null", "true", "[]", "{}", &long] {
            let refused = refusal(&format!(r#"{{"id":{text},"method":"ping"}}"#));
            assert_eq!((refused.id, refused.error.code), (None, ErrorCode::Malformed), "{text}");
            assert_eq!(refused.method.as_deref(), Some("ping"));
            assert!(refused.error.message.contains("at most 36 bytes"), "{text}");
        }
    }

    #[test]
    fn a_refusal_carries_the_id_that_could_be_read() {
        let deep = format!(r#"{{"id":7,"params":{}{}}}"#, "[".repeat(100), "]".repeat(100));
        for (text, says) in [
            (r#"{"id":7}"#, "method is missing"),
            (r#"{"id":7,"method":5}"#, "method is 5"),
            (r#"{"id":7,"method":"ping","more":1}"#, "the request has no field \"more\""),
            (r#"{"id":7,"method":"ping","method":"ping"}"#, "stands there twice"),
            (r#"{"id":7,"method":"ping"} {}"#, "trailing characters"),
            (r#"{"id":7,"params":NaN}"#, "expected value"),
            (r#"{"id":7,"params":1e400}"#, "number out of range"),
            (r#"{"id":7,"params":"\ud800\u0000"}"#, "surrogate"),
            (&deep, "nested more than 8 deep"),
        ] {
            let refused = refusal(text);
            assert_eq!(refused.id, Some(Id::Number(7)), "{text}");
            assert_eq!(refused.error.code, ErrorCode::Malformed, "{text}");
            assert!(refused.error.message.contains(says), "{text}: {}", refused.error);
        }
        assert_eq!(refusal(r#""id""#).id, None);
        assert_eq!(refusal("").id, None);
    }

    #[test]
    fn an_unknown_method_names_those_there_are() {
        for name in ["authenticate", "replays", "Pause", "Ping", ""] {
            let refused = refusal(&format!(r#"{{"id":1,"method":"{name}"}}"#));
            assert_eq!(refused.error.code, ErrorCode::UnknownMethod);
            assert_eq!(refused.method.as_deref(), Some(name));
            assert!(refused.error.message.ends_with(&METHODS.join(", ")));
        }
        let long = format!(r#"{{"id":1,"method":"{}"}}"#, "m".repeat(33));
        assert_eq!(refusal(&long).method, None);
    }

    #[test]
    fn parameters_of_the_plain_methods_are_checked() {
        let long = format!(r#"{{"data":"{}"}}"#, "x".repeat(126));
        for (method, params, says) in [
            ("ping", "[]", "params is a list"),
            ("ping", "null", "params is null"),
            ("ping", r#"{"data":1}"#, "params.data is 1: give a string of at most 125 bytes"),
            ("ping", &long, "at most 125 bytes"),
            ("ping", r#"{"x":1}"#, "params has no field \"x\": its fields are data"),
            ("subscriptions", r#"{"after":-1}"#, "params.after is -1"),
            ("subscriptions", r#"{"after":4294967296}"#, "params.after is 4294967296"),
        ] {
            let refused = refusal(&format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#));
            assert_eq!(refused.error.code, ErrorCode::BadParams, "{params}");
            assert!(refused.error.message.contains(says), "{params}: {}", refused.error);
        }
    }

    #[test]
    fn words_about_a_huge_message_stay_short() {
        let refused = refusal(&format!("\"{}\"", "é".repeat(30_000)));
        assert!(refused.error.message.len() <= WORDS_MAX);
        let key = format!(r#"{{"id":1,"{}":1}}"#, "k".repeat(60_000));
        assert!(refusal(&key).error.message.len() <= WORDS_MAX);
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(
            cut in 0usize..150,
            junk in "[\\[\\]{}\",:0-9eE.a-z\\\\u*-]{0,12}",
        ) {
            let whole = concat!(
                r#"{"id":1,"method":"subscribe","params":[{"schema":["trades"],"#,
                r#""symbols":["A","B*"],"from":{"time":"5"},"max_rate":5}]}"#
            );
            let cut = cut.min(whole.len());
            let text = format!("{}{junk}{}", &whole[..cut], &whole[cut..]);
            if let Err(refused) = parse(&text, &ClientLimits::default()) {
                prop_assert!(refused.error.message.len() < 500);
            }
        }
    }
}
