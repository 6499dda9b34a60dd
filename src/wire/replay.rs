//! `replay` and what controls it: requests, answers, messages.

use super::error::ControlError;
use super::params::{Allowance, Params, bad, wrong};
use super::position::Position;
use super::strict::Json;
use super::symbols::Symbols;
use super::text::{Object, string};
use crate::clock::UnixNanos;
use crate::limits::{RECORDING_NAME, REPLAY_SPEEDS, REPLAY_STEP_MAX};
use crate::wire::instrument::schemas_of;
use crate::wire::message::message;

/// How fast a client has a recording replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Times its own pace.
    Times(f64),
    /// As fast as the client reads.
    Max,
}

impl Speed {
    fn write(self, o: Object<'_>) -> Object<'_> {
        match self {
            Self::Times(factor) => o.value("speed", |out| out.extend(factor.to_string().bytes())),
            Self::Max => o.text("speed", "max"),
        }
    }
}

/// What follows the end of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Stop,
    /// The same again.
    Loop,
    /// The live stream, of the same schemas and symbols.
    Live,
}

impl Then {
    const ALL: [Self; 3] = [Self::Stop, Self::Loop, Self::Live];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Loop => "loop",
            Self::Live => "live",
        }
    }
}

/// A wish for a replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The recording's name.
    pub recording: String,
    /// Nothing before this index time, ns.
    pub start: UnixNanos,
    /// Nothing after this index time, ns.
    pub end: UnixNanos,
    /// How fast.
    pub speed: Speed,
    /// Bit `1 << schema` for each schema; all bits where none were named.
    pub schemas: u32,
    /// Of which instruments.
    pub symbols: Symbols,
    /// What follows.
    pub then: Then,
}

/// What a running replay is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// Send nothing more until told to.
    Pause,
    /// Go on.
    Resume,
    /// Go on from this index time, ns.
    Seek(UnixNanos),
    /// Go on as fast as this.
    Speed(Speed),
    /// Send so many records at once, then pause.
    Step(u64),
    /// End it.
    Stop,
}

/// The names of the methods that control a replay.
pub const CONTROLS: [&str; 6] = ["pause", "resume", "seek", "speed", "step", "stop"];

impl Control {
    /// The name of its method.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => CONTROLS[0],
            Self::Resume => CONTROLS[1],
            Self::Seek(_) => CONTROLS[2],
            Self::Speed(_) => CONTROLS[3],
            Self::Step(_) => CONTROLS[4],
            Self::Stop => CONTROLS[5],
        }
    }
}

/// A wish for a replay.
pub(super) fn replay(params: &Json<'_>, symbols: usize) -> Result<Replay, ControlError> {
    let right = r#"an object such as {"recording":"live","speed":10}"#;
    let params = Params::new("params", params, right)?;
    params.only(&["recording", "start", "end", "speed", "schema", "symbols", "then"])?;
    let time = |name, default| params.get(name).map_or(Ok(default), |_| params.long(name));
    let (start, end) = (time("start", 0)?, time("end", u64::MAX)?);
    if end < start {
        return Err(bad(format!("params.end is {end}: it lies before params.start, {start}")));
    }
    let wanted = "the name of a recording, as /v1/recordings lists it";
    let recording = params.text("recording", RECORDING_NAME)?;
    let missing = || bad(format!("params.recording is missing: give {wanted}"));
    Ok(Replay {
        recording: recording.ok_or_else(missing)?.to_owned(),
        start,
        end,
        speed: params.get("speed").map_or(Ok(Speed::Times(1.0)), |_| speed(&params))?,
        schemas: params.get("schema").map_or(Ok(u32::MAX), |_| params.schemas())?,
        symbols: match params.get("symbols") {
            Some(_) => params.symbols(&mut Allowance::new(symbols))?,
            None => Symbols::All,
        },
        then: then(&params)?,
    })
}

/// What controls a replay, by the name of the method; which replay is meant, where that is said.
pub(super) fn control(
    name: &str,
    params: &Json<'_>,
) -> Result<(Control, Option<u32>), ControlError> {
    let params = Params::new("params", params, "an object")?;
    let only = |field| params.only(&["replay", field]);
    let control = match name {
        "seek" => {
            only("time")?;
            Control::Seek(params.long("time")?)
        }
        "speed" => {
            only("speed")?;
            Control::Speed(speed(&params)?)
        }
        "step" => {
            only("records")?;
            let records = params.get("records").map_or(Ok(1), |_| params.long("records"))?;
            if !(1..=REPLAY_STEP_MAX).contains(&records) {
                let says = format!("params.records is {records}: give 1 to {REPLAY_STEP_MAX}");
                return Err(bad(says));
            }
            Control::Step(records)
        }
        plain => {
            params.only(&["replay"])?;
            match plain {
                "pause" => Control::Pause,
                "resume" => Control::Resume,
                _ => Control::Stop,
            }
        }
    };
    Ok((control, params.subscription("replay")?))
}

fn speed(params: &Params<'_, '_>) -> Result<Speed, ControlError> {
    let (slowest, fastest) = REPLAY_SPEEDS;
    let right = format!("a number from {slowest} to {fastest}, or \"max\"");
    let path = params.path_of("speed");
    let factor = match params.get("speed") {
        Some(Json::Text(text)) if text == "max" => return Ok(Speed::Max),
        Some(Json::Integer(n)) => *n as f64,
        Some(Json::Number(n)) => *n,
        Some(other) => return Err(wrong(&path, other, &right)),
        None => return Err(bad(format!("{path} is missing: give {right}"))),
    };
    match (slowest..=fastest).contains(&factor) {
        true => Ok(Speed::Times(factor)),
        false => Err(bad(format!("{path} is {factor}: give {right}"))),
    }
}

fn then(params: &Params<'_, '_>) -> Result<Then, ControlError> {
    let Some(value) = params.get("then") else { return Ok(Then::Stop) };
    let named = |then: &Then| matches!(value, Json::Text(text) if text == then.name());
    let found = Then::ALL.into_iter().find(named);
    found.ok_or_else(|| params.wrong("then", value, "stop, loop or live"))
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// Its number, unique on the connection.
    pub replay: u32,
    /// `playing`, `paused`, `stopped`.
    pub state: &'a str,
    /// Index time of the last record that was passed, ns; none before the first.
    pub time: Option<UnixNanos>,
    /// Records that were sent.
    pub records: u64,
    /// How fast it goes.
    pub speed: Speed,
}

impl State<'_> {
    pub(super) fn fields<'o>(&self, o: Object<'o>) -> Object<'o> {
        let o = o.number("replay", self.replay).text("state", self.state);
        let o = match self.time {
            Some(time) => o.long("time", time),
            None => o.null("time"),
        };
        self.speed.write(o.long("records", self.records))
    }
}

/// A replay that has been granted.
#[derive(Clone, Copy, Debug)]
pub struct Granted {
    /// Its number, unique on the connection.
    pub replay: u32,
    /// Index times that the recording spans, within what was asked for, ns.
    pub span: Option<(UnixNanos, UnixNanos)>,
    /// Records of the recording, whatever is asked for of them.
    pub records: u64,
    /// The subscription that follows it.
    pub subscription: Option<u32>,
    /// Mask of the schemas that are derived.
    pub derived: u32,
    /// Mask of those asked for that can't come.
    pub missing: u32,
}

impl Granted {
    pub(super) fn fields<'o>(&self, o: Object<'o>) -> Object<'o> {
        let o = o.number("replay", self.replay).long("records", self.records);
        let o = match self.span {
            Some((start, end)) => o.long("start", start).long("end", end),
            None => o.null("start").null("end"),
        };
        let o = match self.subscription {
            Some(subscription) => o.number("subscription", subscription),
            None => o,
        };
        named(named(o, "derived", self.derived), "missing", self.missing)
    }
}

/// A list of the schemas of a mask, where it has any.
fn named<'o>(o: Object<'o>, name: &str, mask: u32) -> Object<'o> {
    match mask {
        0 => o,
        _ => o.list(name, schemas_of(mask), |out, schema| string(out, schema.as_str())),
    }
}

/// A replay, or another pass of it, begins.
pub fn started(replay: u32, pass: u64, out: &mut Vec<u8>) {
    message("replay_started", out).number("replay", replay).long("pass", pass).close();
}

/// A replay, or a pass of it, is over.
#[derive(Clone, Copy, Debug)]
pub struct Completed {
    /// Its number.
    pub replay: u32,
    /// Records that were sent, over all passes.
    pub records: u64,
    /// Index times of the first and the last of them, ns.
    pub span: Option<(UnixNanos, UnixNanos)>,
    /// What follows.
    pub then: Then,
    /// The position from which the live stream follows, where it does.
    pub at: Option<Position>,
}

impl Completed {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let o = message("replay_completed", out);
        let o = o.number("replay", self.replay).long("records", self.records);
        let o = match self.span {
            Some((first, last)) => o.long("first", first).long("last", last),
            None => o.null("first").null("last"),
        };
        let o = o.text("then", self.then.name());
        match self.at {
            Some(at) => o.position(at).close(),
            None => o.close(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Method, parse};
    use super::*;
    use crate::limits::ClientLimits;

    fn method(name: &str, params: &str) -> Result<Method, String> {
        let text = format!(r#"{{"id":1,"method":"{name}","params":{params}}}"#);
        let parsed = parse(&text, &ClientLimits::default());
        parsed.map(|request| request.method).map_err(|refused| refused.error.message.into_owned())
    }

    #[test]
    fn a_wish_has_defaults() {
        let Ok(Method::Replay(wish)) = method("replay", r#"{"recording":"live"}"#) else {
            panic!("a wish")
        };
        assert_eq!((wish.start, wish.end, wish.schemas), (0, u64::MAX, u32::MAX));
        assert_eq!((wish.speed, wish.then), (Speed::Times(1.0), Then::Stop));
        assert_eq!(wish.symbols, Symbols::All);
    }

    #[test]
    fn controls_are_read() {
        for (name, params, right) in [
            ("pause", "{}", Control::Pause),
            ("resume", r#"{"replay":3}"#, Control::Resume),
            ("seek", r#"{"time":"5"}"#, Control::Seek(5)),
            ("speed", r#"{"speed":0.5}"#, Control::Speed(Speed::Times(0.5))),
            ("speed", r#"{"speed":"max"}"#, Control::Speed(Speed::Max)),
            ("step", "{}", Control::Step(1)),
            ("step", r#"{"records":7}"#, Control::Step(7)),
            ("stop", "{}", Control::Stop),
        ] {
            let Ok(Method::Control { control, replay }) = method(name, params) else {
                panic!("{name} {params}")
            };
            assert_eq!((control, control.name()), (right, name));
            assert_eq!(replay, (name == "resume").then_some(3));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (name, params, says) in [
            ("replay", "{}", "params.recording is missing"),
            ("replay", r#"{"recording":1}"#, "params.recording is 1"),
            ("replay", r#"{"recording":"a","then":"go"}"#, "stop, loop or live"),
            ("replay", r#"{"recording":"a","speed":0}"#, "0.01 to 1000"),
            ("replay", r#"{"recording":"a","speed":"fast"}"#, "or \"max\""),
            ("replay", r#"{"recording":"a","start":5,"end":4}"#, "before params.start"),
            ("replay", r#"{"recording":"a","rate":1}"#, "no field \"rate\""),
            ("seek", "{}", "params.time is missing"),
            ("speed", "{}", "params.speed is missing"),
            ("step", r#"{"records":0}"#, "give 1 to"),
            ("pause", r#"{"time":1}"#, "no field \"time\""),
            ("stop", r#"{"replay":"x"}"#, "params.replay"),
        ] {
            let told = method(name, params).expect_err(params);
            assert!(told.contains(says), "{name} {params}: {told}");
        }
    }
}
