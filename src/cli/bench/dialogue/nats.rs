//! NATS over WebSocket: its lines are a stream of bytes, whatever the frames around them.

use std::sync::Arc;

use super::checks::Checks;
use super::raw48::{RECORD, Records};
use super::{Dialogue, Scope, Step, stamps};
use crate::cli::bench::interval::Measure;
use crate::cli::bench::task::Task;
use crate::cli::client::frame::{self, BINARY, CLOSE, FrameHead, PING, PONG};
use crate::cli::client::stream::{End, closed};
use crate::limits::WS_CONTROL_MAX;

/// What the client says of itself.
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":false,\
    \"lang\":\"rust\",\"version\":\"0\",\"name\":\"broadtape bench\",\"protocol\":1}\r\n";
/// Bytes of a line at most: `INFO` is the longest.
const LINE_MAX: usize = 64 << 10;
/// Bytes of a message's payload at most.
const PAYLOAD_MAX: usize = 1 << 20;

/// One subscriber.
pub(crate) struct Subscriber {
    task: Arc<Task>,
    talk: Talk,
    /// Bytes of the current data frame that are still to come.
    left: u64,
    /// The beginning of a line or message whose end has not come.
    rest: Vec<u8>,
}

/// What the lines tell.
struct Talk {
    records: Records,
    greeted: bool,
    granted: bool,
    /// PINGs of the server, of its own kind, to be answered.
    pings: usize,
}

impl Subscriber {
    pub(crate) fn new(task: Arc<Task>) -> Self {
        let records = Records::new(task.clock);
        let talk = Talk { records, greeted: false, granted: false, pings: 0 };
        Self { task, talk, left: 0, rest: Vec::new() }
    }

    /// Takes the frames that `bytes` hold, whole or in part, as the stream that they are.
    fn frames(
        &mut self,
        bytes: &[u8],
        outbox: &mut Vec<u8>,
        measure: &mut Option<Measure<'_>>,
    ) -> Result<usize, End> {
        let mut at = 0;
        loop {
            if self.left > 0 {
                let here = (bytes.len() - at).min(self.left.try_into().unwrap_or(usize::MAX));
                self.stream(&bytes[at..at + here], measure)?;
                (at, self.left) = (at + here, self.left - here as u64);
            }
            let Some(FrameHead { first, head, length }) = frame::head(&bytes[at..])? else {
                return Ok(at);
            };
            if first & 0x08 == 0 {
                if let Some(measure) = measure {
                    measure.frame();
                }
                (at, self.left) = (at + head, length);
                continue;
            }
            let limit = WS_CONTROL_MAX;
            let Some((frame, length)) = frame::next_within(&bytes[at..], limit)? else {
                return Ok(at);
            };
            match frame.opcode {
                PING => frame::push(outbox, PONG, frame.payload),
                CLOSE => return Err(closed(frame.payload)),
                _ => {}
            }
            at += length;
        }
    }

    /// Takes a piece of the stream; an unfinished line waits for the next.
    fn stream(&mut self, piece: &[u8], measure: &mut Option<Measure<'_>>) -> Result<(), End> {
        if self.rest.is_empty() {
            let taken = self.talk.lines(piece, measure)?;
            self.rest.extend_from_slice(&piece[taken..]);
            return Ok(());
        }
        self.rest.extend_from_slice(piece);
        let taken = self.talk.lines(&self.rest, measure)?;
        self.rest.drain(..taken);
        Ok(())
    }
}

impl Talk {
    /// Takes the whole lines and messages of `bytes`, and returns how many those were.
    fn lines(&mut self, bytes: &[u8], measure: &mut Option<Measure<'_>>) -> Result<usize, End> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                return match rest.len() {
                    0..LINE_MAX => Ok(at),
                    _ => Err(End::Message(format!("a line of over {LINE_MAX} bytes"))),
                };
            };
            let line = rest[..end].trim_ascii_end();
            let Some(size) = line.strip_prefix(b"MSG ") else {
                self.line(line)?;
                at += end + 1;
                continue;
            };
            let size = size_of_message(size)?;
            let Some(payload) = rest.get(end + 1..end + 1 + size) else { return Ok(at) };
            // Behind the payload stands an end of line of its own.
            if rest.len() < end + 1 + size + 2 {
                return Ok(at);
            }
            match payload.len() {
                RECORD => self.records.take(payload, measure),
                _ => self.records.foreign += 1,
            }
            at += end + 1 + size + 2;
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), End> {
        match line.split(|byte| *byte == b' ').next().unwrap_or_default() {
            b"INFO" => self.greeted = true,
            b"PING" => self.pings += 1,
            b"PONG" => self.granted = true,
            b"-ERR" => {
                let text = String::from_utf8_lossy(line).into_owned();
                return Err(End::Refused(format!("refused with {text}")));
            }
            _ => self.records.foreign += 1,
        }
        Ok(())
    }
}

/// `subject sid [reply] size`.
fn size_of_message(line: &[u8]) -> Result<usize, End> {
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let size = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    size.filter(|size| *size <= PAYLOAD_MAX).ok_or_else(|| {
        let line = String::from_utf8_lossy(line).into_owned();
        End::Message(format!("a message of {line:?}: its size is no number to {PAYLOAD_MAX}"))
    })
}

impl Dialogue for Subscriber {
    fn opened(&mut self, scope: &mut Scope<'_>) {
        *scope.step = Step::Greeting;
    }

    fn subscribe(&mut self, scope: &mut Scope<'_>) {
        let subject = &self.task.subject;
        let lines = format!("{CONNECT}SUB {subject} 1\r\nPING\r\n");
        scope.send(BINARY, lines.as_bytes());
        *scope.step = Step::Asking;
    }

    fn take(&mut self, bytes: &[u8], scope: &mut Scope<'_>) -> Result<usize, End> {
        let clock = self.talk.records.clock();
        let mut measure = stamps(scope.collector, scope.measured, clock, scope.now);
        let taken = self.frames(bytes, scope.outbox, &mut measure);
        if let Some(measure) = measure {
            measure.end();
        }
        for _ in 0..std::mem::take(&mut self.talk.pings) {
            scope.send(BINARY, b"PONG\r\n");
        }
        if *scope.step == Step::Greeting && self.talk.greeted {
            *scope.step = Step::Ready;
        }
        if *scope.step == Step::Asking && self.talk.granted {
            *scope.step = Step::Subscribed;
            if let Some(message) = &self.task.message {
                scope.send(BINARY, format!("{message}\r\n").as_bytes());
            }
        }
        taken
    }

    fn settle(&mut self, scope: &mut Scope<'_>) {
        *scope.step = Step::Settled;
    }

    fn checks(&self) -> Checks {
        self.talk.records.checks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::dialogue::Clock;

    fn talk() -> Talk {
        Talk { records: Records::new(Clock::Real), greeted: false, granted: false, pings: 0 }
    }

    #[test]
    fn lines_and_messages_are_taken_once_they_are_whole() {
        let mut text = b"INFO {\"a\":1}\r\nPING\r\nPONG\r\n+OK\r\nMSG md.1 1 48\r\n".to_vec();
        text.extend([5; 48]);
        text.extend(b"\r\nMSG other 1 reply.to 2\r\nhi\r\n");
        for cut in 0..text.len() {
            let mut talk = talk();
            let taken = talk.lines(&text[..cut], &mut None).unwrap();
            let rest = talk.lines(&text[taken..], &mut None).unwrap();
            assert_eq!(taken + rest, text.len());
            let checks = talk.records.checks();
            assert_eq!((checks.records, checks.foreign, talk.pings), (1, 2, 1), "cut at {cut}");
            assert!(talk.greeted && talk.granted);
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_said() {
        let error = |text: &[u8]| talk().lines(text, &mut None).unwrap_err().to_string();
        assert!(error(b"-ERR 'Authorization Violation'\r\n").contains("'Authorization Violation'"));
        assert!(error(b"MSG a 1 x\r\n").contains("its size is no number"));
        assert!(error(b"MSG a 1 99999999\r\n").contains("its size is no number"));
        assert!(error(&vec![b'x'; LINE_MAX]).contains("a line of over"));
    }
}
