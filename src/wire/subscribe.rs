//! `subscribe` and `unsubscribe`: what a client wants to receive, and no longer.

use super::error::ControlError;
use super::instrument::bit;
use super::params::{Allowance, Params, bad, wrong};
use super::position::{Position, Start};
use super::record::{is_state, schemas};
use super::strict::Json;
use super::symbols::Symbols;
use crate::limits::{MAX_RATES, PARAMS_PER_REQUEST};

/// What a connection that reads too slowly gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The newest states, as fast as it reads.
    Conflate,
    /// Everything, from the tape, as fast as it reads.
    CatchUp,
    /// Nothing more: it is disconnected.
    Disconnect,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Conflate, Self::CatchUp, Self::Disconnect];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conflate => "conflate",
            Self::CatchUp => "catch_up",
            Self::Disconnect => "disconnect",
        }
    }
}

/// One wish: these schemas of these instruments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Bit `1 << schema` for each schema, at least one.
    pub schemas: u32,
    /// Of which instruments.
    pub symbols: Symbols,
    /// Send the state first.
    pub snapshot: bool,
    /// Where delivery starts, if not with the next record.
    pub start: Option<Start>,
    /// What to do when the client is slow; none: as each schema has it.
    /// [`Policy::Conflate`] only where all schemas are states.
    pub policy: Option<Policy>,
    /// Newest records only, so many a second and instrument: one of [`MAX_RATES`].
    pub max_rate: Option<u32>,
}

/// What `unsubscribe` ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsubscribe {
    /// A subscription as a whole.
    Subscription(u32),
    /// These schemas of these instruments, in whichever subscription they are.
    Matching {
        /// Bit `1 << schema` for each schema, at least one.
        schemas: u32,
        /// Of which instruments.
        symbols: Symbols,
    },
}

/// The wishes of one request, and whether they came as a list.
pub(super) fn subscribes(
    params: &Json<'_>,
    symbols: usize,
) -> Result<(Vec<Subscribe>, bool), ControlError> {
    let mut left = Allowance::new(symbols);
    let right = r#"an object such as {"schema":"trades","symbols":["ESH4"]}, or a list of them"#;
    match params {
        Json::List(list) if !(1..=PARAMS_PER_REQUEST).contains(&list.len()) => {
            let says = format!("params has {} entries: give 1 to {PARAMS_PER_REQUEST}", list.len());
            Err(bad(says))
        }
        Json::List(list) => {
            let each = list.iter().enumerate().map(|(n, value)| {
                subscribe(&Params::new(format!("params[{n}]"), value, right)?, &mut left)
            });
            Ok((each.collect::<Result<_, _>>()?, true))
        }
        one => Ok((vec![subscribe(&Params::new("params", one, right)?, &mut left)?], false)),
    }
}

fn subscribe(params: &Params<'_, '_>, left: &mut Allowance) -> Result<Subscribe, ControlError> {
    params.only(&["schema", "symbols", "snapshot", "from", "policy", "max_rate"])?;
    let schemas = params.schemas()?;
    Ok(Subscribe {
        schemas,
        symbols: params.symbols(left)?,
        snapshot: params.flag("snapshot", true)?,
        start: start(params)?,
        policy: policy(params, schemas)?,
        max_rate: max_rate(params)?,
    })
}

/// What `unsubscribe` asks for.
pub(super) fn unsubscribe(params: &Json<'_>, symbols: usize) -> Result<Unsubscribe, ControlError> {
    let right = r#"an object such as {"subscription":1}, or {"schema":…,"symbols":…}"#;
    let params = Params::new("params", params, right)?;
    params.only(&["subscription", "schema", "symbols"])?;
    let Some(subscription) = params.subscription("subscription")? else {
        let schemas = params.schemas()?;
        let symbols = params.symbols(&mut Allowance::new(symbols))?;
        return Ok(Unsubscribe::Matching { schemas, symbols });
    };
    if params.get("schema").or(params.get("symbols")).is_some() {
        let says = "params has a subscription and a schema or symbols: give the one or the other";
        return Err(bad(says.into()));
    }
    Ok(Unsubscribe::Subscription(subscription))
}

fn start(params: &Params<'_, '_>) -> Result<Option<Start>, ControlError> {
    let right = r#"{"epoch":"…","seq":"…"} or {"time":"…"}"#;
    let Some(value) = params.get("from") else { return Ok(None) };
    let from = Params::new(params.path_of("from"), value, right)?;
    if from.get("time").is_some() {
        from.only(&["time"])?;
        return Ok(Some(Start::At(from.long("time")?)));
    }
    from.only(&["epoch", "seq", "time"])?;
    let (epoch, seq) = (from.long("epoch")?, from.long("seq")?);
    Ok(Some(Start::After(Position { epoch, seq })))
}

fn policy(params: &Params<'_, '_>, asked: u32) -> Result<Option<Policy>, ControlError> {
    let Some(value) = params.get("policy") else { return Ok(None) };
    let path = params.path_of("policy");
    let named = |policy: &Policy| matches!(value, Json::Text(text) if text == policy.name());
    let Some(policy) = Policy::ALL.into_iter().find(named) else {
        return Err(wrong(&path, value, "conflate, catch_up or disconnect"));
    };
    if policy == Policy::Conflate {
        states_only(&path, asked)?;
    }
    Ok(Some(policy))
}

fn max_rate(params: &Params<'_, '_>) -> Result<Option<u32>, ControlError> {
    let Some(value) = params.get("max_rate") else { return Ok(None) };
    let known = |rate: &u32| matches!(value, Json::Integer(n) if *n == u64::from(*rate));
    let Some(rate) = MAX_RATES.into_iter().find(known) else {
        let right = format!("one of {}", MAX_RATES.map(|rate| rate.to_string()).join(", "));
        return Err(params.wrong("max_rate", value, &right));
    };
    Ok(Some(rate))
}

/// Leaving records out is honest only where the newest one is the whole state.
fn states_only(path: &str, asked: u32) -> Result<(), ControlError> {
    let event = schemas().find(|&schema| asked & bit(schema) != 0 && !is_state(schema));
    event.map_or(Ok(()), |schema| {
        let states: Vec<_> = schemas().filter(|s| is_state(*s)).map(|s| s.as_str()).collect();
        let (schema, states) = (schema.as_str(), states.join(", "));
        Err(bad(format!(
            "{path} would leave out events of {schema}: it is for schemas whose newest record is \
             the whole state, {states}"
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ClientLimits;
    use crate::wire::error::ErrorCode;
    use crate::wire::record::Schema;
    use crate::wire::request::{Method, parse};
    use crate::wire::symbols::Symbol;

    fn wishes(params: &str) -> Result<(Vec<Subscribe>, bool), ControlError> {
        let text = format!(r#"{{"id":1,"method":"subscribe","params":{params}}}"#);
        match parse(&text, &ClientLimits::default()).map_err(|refused| refused.error)?.method {
            Method::Subscribe { wishes, as_list } => Ok((wishes, as_list)),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(params: &str) -> ControlError {
        wishes(params).expect_err(params)
    }

    fn names(names: &[&str]) -> Symbols {
        Symbols::Listed(names.iter().map(|&name| Symbol::new(name.to_owned())).collect())
    }

    #[test]
    fn defaults_are_the_protocols() {
        let (wishes, as_list) = wishes(r#"{"schema":"trades","symbols":"*"}"#).unwrap();
        let plain = Subscribe {
            schemas: bit(Schema::Trades),
            symbols: Symbols::All,
            snapshot: true,
            start: None,
            policy: None,
            max_rate: None,
        };
        assert_eq!((wishes, as_list), (vec![plain], false));
    }

    #[test]
    fn everything_can_be_said_at_once() {
        let (wishes, as_list) = wishes(
            r#"[{"schema":["mbp-1","status","mbp-1"],"symbols":["ES*","A","A"],"snapshot":false,
            "from":{"epoch":"18446744073709551615","seq":0},"policy":"conflate","max_rate":100},
            {"schema":"mbo","symbols":"B","from":{"time":5},"policy":"catch_up"}]"#,
        )
        .unwrap();
        assert!(as_list);
        assert_eq!(wishes[0].schemas, bit(Schema::Mbp1) | bit(Schema::Status));
        assert_eq!(wishes[0].symbols, names(&["ES*", "A"]));
        assert_eq!(wishes[0].start, Some(Start::After(Position { epoch: u64::MAX, seq: 0 })));
        assert_eq!((wishes[0].policy, wishes[0].max_rate), (Some(Policy::Conflate), Some(100)));
        assert_eq!((wishes[1].start, wishes[1].snapshot), (Some(Start::At(5)), true));
        assert_eq!((&wishes[1].symbols, wishes[1].policy), (&names(&["B"]), Some(Policy::CatchUp)));
    }

    #[test]
    fn every_field_says_what_is_wrong_with_it() {
        let good = [("schema", r#""mbp-1""#), ("symbols", r#"["A"]"#)];
        for (field, value, says) in [
            ("schema", "5", "params.schema is 5: give a schema such as"),
            ("schema", "[]", "params.schema is empty"),
            ("schema", r#"["trades",null]"#, "params.schema[1] is null"),
            ("symbols", "null", "params.symbols is null: give a list"),
            ("symbols", "[]", "params.symbols is empty"),
            ("symbols", r#"["A","B",7]"#, "params.symbols[2] is 7: give a symbol"),
            ("symbols", r#"[""]"#, "params.symbols[0] is \"\": give a symbol of 1 to 70 bytes"),
            ("symbols", r#"["A\n"]"#, "without control characters"),
            ("symbols", r#"["A","*"]"#, "params.symbols[1] is \"*\": give \"*\" alone"),
            ("symbols", r#"["*a*b*c*d*"]"#, "at most 4 wildcards"),
            ("snapshot", "1", "params.snapshot is 1: give true or false"),
            ("from", "5", "params.from is 5"),
            ("from", "{}", "params.from.epoch is missing"),
            ("from", r#"{"epoch":"1"}"#, "params.from.seq is missing"),
            ("from", r#"{"epoch":"01","seq":1}"#, "params.from.epoch is \"01\""),
            ("from", r#"{"epoch":"+1","seq":1}"#, "params.from.epoch is \"+1\""),
            ("from", r#"{"time":"18446744073709551616"}"#, "params.from.time is"),
            ("from", r#"{"time":-1}"#, "params.from.time is -1"),
            ("from", r#"{"time":1,"seq":1}"#, "params.from has no field \"seq\""),
            ("policy", r#""drop""#, "params.policy is \"drop\": give conflate, catch_up or disc"),
            ("max_rate", "3", "params.max_rate is 3: give one of 1, 2, 5"),
            ("max_rate", r#""5""#, "params.max_rate is \"5\""),
            ("speed", "1", "params has no field \"speed\""),
        ] {
            let others = good.iter().filter(|(name, _)| *name != field);
            let fields: Vec<_> =
                others.map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
            let error = refusal(&format!(r#"{{{},"{field}":{value}}}"#, fields.join(",")));
            assert_eq!(error.code, ErrorCode::BadParams, "{value}");
            assert!(error.message.contains(says), "{error}");
        }
        assert!(refusal(r#"{"schema":"trades"}"#).message.contains("params.symbols is missing"));
        assert!(refusal(r#"[{"schema":"trades"}]"#).message.contains("params[0].symbols"));
        assert!(refusal("[]").message.contains("params has 0 entries"));
    }

    #[test]
    fn an_unknown_schema_names_those_there_are() {
        let error = refusal(r#"{"schema":"tradez","symbols":"*"}"#);
        assert_eq!(error.code, ErrorCode::UnknownSchema);
        assert!(error.message.contains("mbp-10") && error.message.contains("\"tradez\""));
    }

    #[test]
    fn events_are_left_out_by_explicit_wish_only() {
        let asked = |field| format!(r#"{{"schema":["mbp-1","trades"],"symbols":"*",{field}}}"#);
        let conflated = refusal(&asked(r#""policy":"conflate""#));
        assert!(conflated.message.contains("leave out events of trades"), "{conflated}");
        let (wishes, _) = wishes(&asked(r#""max_rate":10"#)).unwrap();
        assert_eq!(wishes[0].max_rate, Some(10));
    }

    #[test]
    fn the_limits_are_those_of_the_whole_request() {
        let list = |n: usize, of: &str| {
            let symbols: Vec<_> = (0..n).map(|k| format!("\"{of}{k}\"")).collect();
            format!(r#"{{"schema":"trades","symbols":[{}]}}"#, symbols.join(","))
        };
        assert!(wishes(&list(1024, "S")).is_ok());
        assert!(wishes(&list(PATTERNS, "S*")).is_ok());
        for params in [
            list(1025, "S"),
            format!("[{},{}]", list(1000, "S"), list(25, "T")),
            list(PATTERNS + 1, "S*"),
        ] {
            assert_eq!(refusal(&params).code, ErrorCode::TooManySymbols);
        }
        let many = vec![r#"{"schema":"trades","symbols":"*"}"#; PARAMS_PER_REQUEST + 1];
        assert!(refusal(&format!("[{}]", many.join(","))).message.contains("has 65 entries"));
    }

    const PATTERNS: usize = crate::limits::PATTERNS_PER_REQUEST;

    fn end(params: &str) -> Result<Unsubscribe, ControlError> {
        let text = format!(r#"{{"id":1,"method":"unsubscribe","params":{params}}}"#);
        match parse(&text, &ClientLimits::default()).map_err(|refused| refused.error)?.method {
            Method::Unsubscribe(what) => Ok(what),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unsubscribe_takes_a_number_or_a_match() {
        assert_eq!(end(r#"{"subscription":4}"#), Ok(Unsubscribe::Subscription(4)));
        let matching =
            Unsubscribe::Matching { schemas: bit(Schema::Trades), symbols: names(&["A"]) };
        assert_eq!(end(r#"{"schema":"trades","symbols":["A"]}"#), Ok(matching));
        for (params, says) in [
            ("{}", "params.schema is missing"),
            (r#"{"subscription":"4"}"#, "params.subscription is \"4\""),
            (r#"{"subscription":4,"symbols":["A"]}"#, "give the one or the other"),
            (r#"{"schema":"trades"}"#, "params.symbols is missing"),
            ("[1]", "params is a list"),
        ] {
            let error = end(params).expect_err(params);
            assert!(error.message.contains(says), "{params}: {error}");
        }
    }
}
