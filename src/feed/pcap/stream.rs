//! The packets of the streams in a capture, each stream in its order, each packet once; and what is
//! found on the way: lines, holes, duplicates, packets that are cut or something else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::arbiter::{Arbiter, Held, Verdict};
use super::capture::Capture;
use super::framing::{Framing, Head, RESTART_DISTANCE};
use super::packet::{Flow, Payload};
use crate::clock::UnixNanos;
use crate::feed::source::Tally;
use crate::limits::STREAMS_MAX;
use crate::wire::file::{FileError, Place};
use crate::wire::json::time_text;

/// Numbers that never came, in a tally.
pub const GAPS: &str = "numbers that never came";
/// Packets that had come already, in a tally.
pub const DUPLICATES: &str = "packets that came again";

/// Packets that were captured before the one that stands before them, in a tally.
pub const BACKWARDS: &str = "times of capture that go back";

/// A capture whose streams are put in order.
pub struct Streams {
    framing: Framing,
    capture: Capture,
    arbiters: HashMap<u128, Arbiter>,
    lines: Vec<Line>,
    /// When the packet before was captured.
    time: UnixNanos,
    ended: bool,
}

/// What one line brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where its packets were sent to.
    pub flow: Flow,
    /// How many there were.
    pub packets: u64,
    /// How many of them were the first to bring what they held.
    pub first: u64,
    /// The stream that it belonged to last.
    stream: u128,
}

/// A packet whose turn it is.
pub struct Turn<'a> {
    /// When it was captured.
    pub time: UnixNanos,
    /// What its header says.
    pub head: Head,
    /// Messages at its beginning that have been.
    pub skip: u64,
    /// All of it.
    pub bytes: &'a [u8],
}

impl Streams {
    /// Of a capture that holds this protocol.
    pub fn new(framing: Framing, capture: Capture) -> Self {
        let (arbiters, lines) = (HashMap::new(), Vec::new());
        Self { framing, capture, arbiters, lines, time: 0, ended: false }
    }

    /// [`Streams::read`], where a message may be wrong: the first that is ends it, as a fault of
    /// the capture.
    ///
    /// # Errors
    /// As [`Streams::read`], and what `each` says.
    pub fn try_read(
        &mut self,
        tally: &mut Tally,
        mut each: impl FnMut(Turn<'_>, &mut Tally) -> Result<(), String>,
    ) -> Result<bool, FileError> {
        let mut broken = None;
        let more = self.read(tally, |turn, tally| {
            if broken.is_none() {
                broken = each(turn, tally).err();
            }
        })?;
        match broken {
            Some(reason) => Err(self.capture().fault(Place::File, reason)),
            None => Ok(more),
        }
    }

    /// Reads one packet of the capture and hands out those whose turn it then is; false at the end.
    ///
    /// # Errors
    /// [`FileError`] where the capture is damaged or holds too many streams.
    pub fn read(
        &mut self,
        tally: &mut Tally,
        mut each: impl FnMut(Turn<'_>, &mut Tally),
    ) -> Result<bool, FileError> {
        if self.ended {
            return Ok(false);
        }
        let Self { framing, capture, arbiters, lines, time: before, ended } = self;
        let Some(packet) = capture.packet()? else {
            *ended = true;
            for arbiter in arbiters.values_mut() {
                settle(*framing, arbiter, true, tally, &mut each);
            }
            say_cuts(capture, tally);
            if lines.is_empty() && !tally.findings.is_empty() {
                let found: Vec<_> = tally.findings.iter().map(|f| f.what).collect();
                let (name, found) = (framing.name(), found.join(", "));
                let reason = format!("holds no packet of {name}; it holds {found}");
                return Err(capture.fault(Place::File, reason));
            }
            return Ok(false);
        };
        let (time, place) = (packet.time, packet.place);
        if std::mem::replace(before, time) > time {
            tally.find(BACKWARDS, 1, || format!("{place}{}", time_text(time)));
        }
        let Some((flow, bytes, head)) = of_stream(*framing, &packet.payload, place, tally) else {
            return Ok(true);
        };
        let known = arbiters.len();
        let arbiter = match arbiters.entry(head.stream) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if known < STREAMS_MAX => entry.insert(Arbiter::default()),
            Entry::Vacant(_) => {
                let reason = format!("more than {STREAMS_MAX} streams in one capture");
                return Err(capture.fault(place, reason));
            }
        };
        let line = line(lines, flow, &head, place, tally);
        restart(*framing, arbiter, &head, place, tally, &mut each);
        let fresh = offer(arbiter, time, &head, bytes, tally, &mut each);
        if let Some(line) = line {
            line.first += u64::from(fresh);
        }
        settle(*framing, arbiter, false, tally, &mut each);
        say_cuts(capture, tally);
        Ok(true)
    }

    /// What each line brought so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The capture.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }
}

/// The header of a packet of a stream; others are counted.
fn of_stream<'a>(
    framing: Framing,
    payload: &Payload<'a>,
    place: Place,
    tally: &mut Tally,
) -> Option<(Flow, &'a [u8], Head)> {
    let (what, reason) = match *payload {
        Payload::Udp(flow, bytes) => match framing.head(bytes) {
            Ok(head) => return Some((flow, bytes, head)),
            Err(reason) => ("packets of another protocol", reason),
        },
        Payload::Fragment => ("IP fragments, which are not put together", ""),
        Payload::Cut => ("packets of which the capture kept only the beginning", ""),
        Payload::Other => ("packets without a UDP datagram", ""),
    };
    tally.find(what, 1, || format!("{place}{reason}"));
    None
}

/// The line of a packet; a new session on it is told.
fn line<'a>(
    lines: &'a mut Vec<Line>,
    flow: Flow,
    head: &Head,
    place: Place,
    tally: &mut Tally,
) -> Option<&'a mut Line> {
    let at = lines.iter().position(|line| line.flow == flow).or_else(|| {
        let stream = head.stream;
        (lines.len() < STREAMS_MAX)
            .then(|| lines.push(Line { flow, packets: 0, first: 0, stream }))?;
        Some(lines.len() - 1)
    })?;
    let line = &mut lines[at];
    line.packets += 1;
    if line.stream != head.stream {
        line.stream = head.stream;
        tally.find("sessions that begin on a line", 1, || format!("{place}on {flow}"));
    }
    Some(line)
}

/// Begins a stream anew where its numbers do.
fn restart(
    framing: Framing,
    arbiter: &mut Arbiter,
    head: &Head,
    place: Place,
    tally: &mut Tally,
    each: &mut impl FnMut(Turn<'_>, &mut Tally),
) {
    let next = arbiter.next().unwrap_or_default();
    if framing.restarts_by_number() && head.sequence.saturating_add(RESTART_DISTANCE) < next {
        settle(framing, arbiter, true, tally, each);
        tally.find("sequences that begin again", 1, || {
            format!("{place}{} after {next}", head.sequence)
        });
        *arbiter = Arbiter::default();
    }
}

/// Offers a packet; does it bring something that had not come?
fn offer(
    arbiter: &mut Arbiter,
    time: UnixNanos,
    head: &Head,
    bytes: &[u8],
    tally: &mut Tally,
    each: &mut impl FnMut(Turn<'_>, &mut Tally),
) -> bool {
    if arbiter.next().is_none() {
        arbiter.took(head.sequence, 0);
    }
    let fresh = match arbiter.judge(head.sequence, head.count) {
        Verdict::Take(skip) => {
            each(Turn { time, head: *head, skip, bytes }, tally);
            arbiter.took(head.sequence, head.count);
            true
        }
        Verdict::Duplicate => false,
        Verdict::Wait if head.count == 0 => return false,
        Verdict::Wait => {
            let (sequence, count) = (head.sequence, head.count);
            arbiter.hold(Held { time, sequence, count, bytes: bytes.to_vec() })
        }
    };
    if !fresh {
        let sequence = head.sequence;
        tally.find(DUPLICATES, 1, || format!("from number {sequence} on"));
    }
    fresh
}

/// Hands out what waited and whose turn it is; what it waited for too long is lost.
fn settle(
    framing: Framing,
    arbiter: &mut Arbiter,
    end: bool,
    tally: &mut Tally,
    each: &mut impl FnMut(Turn<'_>, &mut Tally),
) {
    loop {
        while let Some(held) = arbiter.release() {
            let Ok(head) = framing.head(&held.bytes) else { continue };
            offer(arbiter, held.time, &head, &held.bytes, tally, each);
        }
        let Some(gap) = arbiter.give_up(end) else { return };
        tally.find(GAPS, gap.count, || {
            format!("{} {} from {}", gap.count, framing.unit(), gap.from)
        });
    }
}

fn say_cuts(capture: &mut Capture, tally: &mut Tally) {
    while let Some(cut) = capture.take_cut() {
        tally.find("files that end within a packet", 1, || cut.0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::feed::pcap::captures::{Packet, capture, mold};
    use crate::wire::file::Input;

    /// The numbers that come of these packets, and what was found.
    fn read(framing: Framing, files: &[&[Packet]]) -> (Vec<u64>, Tally) {
        let each = files
            .iter()
            .map(|packets| Input::new("x".to_owned(), Cursor::new(capture(packets))).unwrap());
        let mut streams = Streams::new(framing, Capture::new(each.collect()).unwrap());
        let (mut numbers, mut tally) = (Vec::new(), Tally::default());
        let mut take = |turn: Turn<'_>, _: &mut Tally| numbers.push(turn.head.sequence);
        while streams.read(&mut tally, &mut take).unwrap() {}
        (numbers, tally)
    }

    fn cme(time: u64, number: u32) -> Packet {
        (time, 1, [&number.to_le_bytes()[..], &[0; 8]].concat())
    }

    #[test]
    fn a_sequence_may_begin_again() {
        let packets = [(1, 50_000), (2, 50_001), (3, 1), (4, 2), (5, 50_001), (6, 3)];
        let packets = packets.map(|(time, number)| cme(time, number));
        let (numbers, tally) = read(Framing::Cme, &[&packets[..4]]);
        assert_eq!(
            (numbers, tally.found("sequences that begin again")),
            (vec![50_000, 50_001, 1, 2], 1)
        );
        let (numbers, tally) = read(Framing::Cme, &[&packets]);
        // One that is far ahead waits, and what it waits for is lost at the end only.
        assert_eq!(numbers, [50_000, 50_001, 1, 2, 3, 50_001]);
        assert_eq!(tally.found(GAPS), 49_997);
    }

    #[test]
    fn sessions_are_streams_of_their_own() {
        let packet = |time, session, number| (time, 1, mold(session, number, &[vec![1]]));
        let (first, second) = (b"MONDAY    ", b"TUESDAY   ");
        let packets = [packet(1, first, 7), packet(2, first, 8), packet(3, second, 1)];
        let (numbers, tally) = read(Framing::Mold, &[&packets]);
        assert_eq!((numbers, tally.found(GAPS)), (vec![7, 8, 1], 0));
        assert_eq!(tally.found("sessions that begin on a line"), 1);
    }

    #[test]
    fn as_many_may_be_missing_as_there_are_numbers() {
        let packet = |time, session, number| (time, 1, mold(session, number, &[vec![1]]));
        let sessions = [b"MONDAY    ", b"TUESDAY   "];
        let packets = sessions.map(|s| [packet(1, s, 1), packet(2, s, u64::MAX - 1)]).concat();
        let (numbers, tally) = read(Framing::Mold, &[&packets]);
        assert_eq!((numbers.len(), tally.found(GAPS)), (4, u64::MAX));
    }

    #[test]
    fn lines_may_lie_in_files_of_their_own() {
        let a = [cme(1, 1), cme(3, 2), cme(9, 4)];
        let b = [cme(2, 1), cme(2, 2), cme(5, 3), cme(4, 4)];
        let (numbers, tally) = read(Framing::Cme, &[&a, &b]);
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert_eq!((tally.found(DUPLICATES), tally.found(BACKWARDS)), (3, 1));
    }
}
