//! What the server says unasked: each message a struct, written as finished text.

use super::close::CloseReason;
use super::encoding::Encoding;
use super::error::ControlError;
use super::position::Position;
use super::subscribe::Policy;
use super::text::Object;
use crate::clock::UnixNanos;
use crate::limits::ClientLimits;

/// The version of the protocol.
pub const PROTOCOL_VERSION: u32 = 1;

pub(super) fn message<'o>(kind: &str, out: &'o mut Vec<u8>) -> Object<'o> {
    Object::open(out).text("type", kind)
}

impl<'o> Object<'o> {
    pub(super) fn position(self, at: Position) -> Self {
        self.long("epoch", at.epoch).long("seq", at.seq)
    }
}

/// The first message of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Welcome<'a> {
    /// This connection, for logs and pages.
    pub session: u64,
    /// The stream, as far as it is; none where the client has to say first who it is.
    pub at: Option<Position>,
    /// Real time, ns.
    pub server_time: UnixNanos,
    /// How data comes.
    pub encoding: Encoding,
    /// What this client may do.
    pub limits: &'a ClientLimits,
}

impl Welcome<'_> {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let limits = self.limits;
        let o = message("welcome", out)
            .number("version", PROTOCOL_VERSION)
            .long("session", self.session);
        let o = match self.at {
            Some(at) => o.position(at),
            None => o.flag("auth_required", true),
        };
        o.long("server_time", self.server_time)
            .text("encoding", self.encoding.name())
            .number("heartbeat_ms", limits.heartbeat.as_millis() as u32)
            .object("limits", |o| {
                o.long("message_max", limits.message_max as u64)
                    .number("message_rate", limits.rate)
                    .number("message_burst", limits.burst)
                    .number("symbols_per_request", limits.symbols as u32)
                    .number("subscriptions", limits.subscriptions as u32)
                    .long("queue", limits.queue as u64)
            })
            .close();
    }
}

/// The snapshot of a subscription is complete.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotDone {
    /// Whose.
    pub subscription: u32,
    /// What it stands for: live records behind this follow.
    pub at: Position,
}

impl SnapshotDone {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        message("snapshot_done", out)
            .number("subscription", self.subscription)
            .position(self.at)
            .close();
    }
}

/// The client reads more slowly than its subscriptions bring.
#[derive(Clone, Copy, Debug)]
pub struct Lagging {
    /// Unsent bytes.
    pub bytes: u64,
    /// How many there may be.
    pub limit: u64,
    /// Age of the oldest unsent byte, ms.
    pub age_ms: u32,
    /// What happens when there are more.
    pub then: Policy,
}

impl Lagging {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        message("lagging", out)
            .long("bytes", self.bytes)
            .long("limit", self.limit)
            .number("age_ms", self.age_ms)
            .text("then", self.then.name())
            .close();
    }
}

/// Records were lost to this client.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// The run they belong to.
    pub epoch: u64,
    /// The first position lost.
    pub from_seq: u64,
    /// The last position lost.
    pub to_seq: u64,
    /// How many of them would have been sent; none where that can't be known.
    pub records: Option<u64>,
    /// Why, in snake case.
    pub reason: &'static str,
}

impl Gap {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let o = message("gap", out)
            .long("epoch", self.epoch)
            .long("from_seq", self.from_seq)
            .long("to_seq", self.to_seq);
        match self.records {
            Some(records) => o.long("records", records),
            None => o.null("records"),
        }
        .text("reason", self.reason)
        .close();
    }
}

/// Delivery from an earlier position has reached the live stream.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Where it joined.
    pub at: Position,
    /// Records delivered since the start.
    pub records: u64,
}

impl Live {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        message("live", out).position(self.at).long("records", self.records).close();
    }
}

/// What became of a feed or a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// A live feed brings nothing.
    Stalled,
    /// It brings something again.
    Resumed,
    /// It has brought all it had.
    Ended,
    /// It can bring no more.
    Failed,
    /// The recorder was overtaken: records are missing from the tape.
    Lapped,
    /// The real-time clock jumped.
    ClockStepped,
}

impl SourceState {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Resumed => "resumed",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Lapped => "lapped",
            Self::ClockStepped => "clock_stepped",
        }
    }
}

/// Something happened before the ring.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The feed's name, or `clock`.
    pub source: &'a str,
    /// What happened.
    pub state: SourceState,
    /// Since when, ns.
    pub since: UnixNanos,
    /// Words for people, at most 1 KiB; more is cut.
    pub message: &'a str,
}

impl Status<'_> {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        message("status", out)
            .text("source", self.source)
            .text("state", self.state.name())
            .long("since", self.since)
            .text("message", clipped(self.message))
            .close();
    }
}

/// The server will close this connection.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'a> {
    /// Why.
    pub reason: CloseReason,
    /// Words for people, at most 1 KiB; more is cut.
    pub message: &'a str,
    /// When to come back; left out where that is no use ([`CloseReason::may_return`]).
    pub reconnect_after_ms: u32,
    /// The last position that was written whole.
    pub at: Position,
}

impl Closing<'_> {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let o = message("closing", out)
            .number("code", u32::from(self.reason.code().unwrap_or_default()))
            .text("reason", self.reason.name())
            .text("message", clipped(self.message));
        match self.reason.may_return() {
            true => o.number("reconnect_after_ms", self.reconnect_after_ms),
            false => o.null("reconnect_after_ms"),
        }
        .position(self.at)
        .close();
    }
}

/// A refusal that answers no request: its id could not be read, or there was none.
pub fn error(refusal: &ControlError, server_time: UnixNanos, out: &mut Vec<u8>) {
    message("error", out)
        .value("error", |out| error_body(refusal, out))
        .long("server_time", server_time)
        .close();
}

pub(super) fn error_body(refusal: &ControlError, out: &mut Vec<u8>) {
    Object::open(out)
        .number("code", u32::from(refusal.code.code()))
        .text("reason", refusal.code.reason())
        .text("message", clipped(&refusal.message))
        .close();
}

fn clipped(words: &str) -> &str {
    &words[..words.floor_char_boundary(1024)]
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorCode;
    use super::*;

    const AT: Position = Position { epoch: u64::MAX, seq: 7 };

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        serde_json::from_slice::<serde_json::Value>(&out).expect("JSON");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_welcome_says_what_holds() {
        let limits = ClientLimits::default();
        let encoding = Encoding::Dbn;
        let welcome =
            Welcome { session: 3, at: Some(AT), server_time: 9, encoding, limits: &limits };
        let right = concat!(
            r#"{"type":"welcome","version":1,"session":"3","epoch":"18446744073709551615","#,
            r#""seq":"7","server_time":"9","encoding":"dbn","heartbeat_ms":1000,"#,
            r#""limits":{"message_max":"65536","message_rate":20,"message_burst":50,"#,
            r#""symbols_per_request":1024,"subscriptions":256,"queue":"1048576"}}"#
        );
        assert_eq!(text(|out| welcome.write(out)), right);
    }

    #[test]
    fn a_gap_of_unknown_size_is_null() {
        let gap = Gap { epoch: 1, from_seq: 2, to_seq: 3, records: None, reason: "overrun" };
        let right = concat!(
            r#"{"type":"gap","epoch":"1","from_seq":"2","to_seq":"3","#,
            r#""records":null,"reason":"overrun"}"#
        );
        assert_eq!(text(|out| gap.write(out)), right);
        let known = Gap { records: Some(2), ..gap };
        assert!(text(|out| known.write(out)).contains(r#""records":"2""#));
    }

    #[test]
    fn closing_says_when_to_come_back() {
        let closing =
            Closing { reason: CloseReason::Drain, message: "", reconnect_after_ms: 5, at: AT };
        let drain = text(|out| closing.write(out));
        assert!(
            drain.contains(r#""code":1012,"reason":"drain","message":"","reconnect_after_ms":5,"#)
        );
        let wrong = Closing { reason: CloseReason::BadUtf8, ..closing };
        assert!(text(|out| wrong.write(out)).contains(r#""reconnect_after_ms":null"#));
    }

    #[test]
    fn the_small_ones_say_what_they_hold() {
        let lagging = Lagging { bytes: 5, limit: 8, age_ms: 2, then: Policy::Disconnect };
        assert_eq!(
            text(|out| lagging.write(out)),
            r#"{"type":"lagging","bytes":"5","limit":"8","age_ms":2,"then":"disconnect"}"#
        );
        let at = Position { epoch: 1, seq: 2 };
        assert_eq!(
            text(|out| SnapshotDone { subscription: 4, at }.write(out)),
            r#"{"type":"snapshot_done","subscription":4,"epoch":"1","seq":"2"}"#
        );
        assert_eq!(
            text(|out| Live { at, records: 3 }.write(out)),
            r#"{"type":"live","epoch":"1","seq":"2","records":"3"}"#
        );
        let state = SourceState::Failed;
        let status = Status { source: "sim", state, since: 6, message: "\"\n" };
        assert_eq!(
            text(|out| status.write(out)),
            r#"{"type":"status","source":"sim","state":"failed","since":"6","message":"\"\u000a"}"#
        );
        let refusal = ControlError::new(ErrorCode::TooManyRequests, "é".repeat(5000));
        let error = text(|out| error(&refusal, 8, out));
        assert!(error.starts_with(
            r#"{"type":"error","error":{"code":429,"reason":"too_many_requests","message":"éé"#
        ));
        assert!(error.len() < 1200);
    }
}
