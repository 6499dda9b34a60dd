//! Housekeeping by deadline: heartbeats, pings, timeouts, paced states, farewells.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::{Now, SECOND, Timeline, UnixNanos};
use crate::limits::{FAREWELL, HEARTBEAT_BUSY, JOIN_STALL, LINGER, MAX_RATES, SWEEP, SWEEP_SHARE};
use crate::shard::Shard;
use crate::shard::command::{Denied, Speech};
use crate::shard::connection::{Connection, Farewell, Phase};
use crate::shard::departure::{self, Ending};
use crate::shard::report::total;
use crate::socket::write::Engine;
use crate::wire::close::CloseReason;
use crate::wire::frame;
use crate::wire::heartbeat::{Counts, Heartbeat};
use crate::wire::message;

/// What is due when.
pub(super) struct Timers {
    timeline: Timeline,
    sweep: Instant,
    cursor: usize,
    ticks: [UnixNanos; MAX_RATES.len()],
}

impl Timers {
    pub(super) fn new(timeline: Timeline, now: Now) -> Self {
        Self { timeline, sweep: now.mono, cursor: 0, ticks: [0; MAX_RATES.len()] }
    }
}

/// A shard that is being drained.
pub(super) struct Draining {
    reason: CloseReason,
    from: Instant,
    until: Instant,
    cutoff: Instant,
    /// Connections when it began, and told so far.
    counted: Option<usize>,
    told: usize,
}

impl Draining {
    pub(super) fn new(reason: CloseReason, from: Instant, until: Instant, cutoff: Instant) -> Self {
        Self { reason, from, until, cutoff, counted: None, told: 0 }
    }

    /// How many of `all` should have been told by `now`.
    fn due(&self, now: Instant, all: usize) -> usize {
        let window = self.until.saturating_duration_since(self.from).as_secs_f64();
        let passed = now.saturating_duration_since(self.from).as_secs_f64();
        match window > 0.0 && passed < window {
            true => 1 + (all as f64 * passed / window) as usize,
            false => all,
        }
    }
}

impl<E: Engine> Shard<E> {
    /// Does what is due.
    pub(super) fn keep_house(&mut self, now: Now) {
        self.keep_pace(now);
        if now.mono >= self.timers.sweep {
            self.timers.sweep = now.mono + SWEEP;
            self.sweep(now);
        }
        if self.draining.is_some() {
            self.drain(now);
        }
    }

    /// When it has to be back at the latest.
    pub(super) fn deadline(&self, now: Now) -> Instant {
        let timeline = self.timers.timeline;
        let ticks = self.timers.ticks.iter().enumerate();
        let paced = ticks.filter(|(rate, _)| self.audiences.is_paced(*rate));
        let tick = paced.map(|(_, at)| timeline.instant_at(*at)).min();
        let flush = self.flush_interval.map(|_| self.next_drain).filter(|at| *at > now.mono);
        [tick, flush, self.next_replay_due()]
            .into_iter()
            .flatten()
            .fold(self.timers.sweep, Instant::min)
    }

    /// Releases the states of audiences with a rate on the common time grid.
    fn keep_pace(&mut self, now: Now) {
        let time = self.timers.timeline.unix_at(now.mono);
        for (rate, hertz) in MAX_RATES.iter().enumerate() {
            if time >= self.timers.ticks[rate] && self.audiences.is_paced(rate) {
                let period = SECOND / u64::from(*hertz);
                self.timers.ticks[rate] = (time / period + 1) * period;
                self.audiences.tick(rate);
            }
        }
        if !self.audiences.due().is_empty() {
            self.release_due(now);
        }
    }

    /// Looks at a part of the connections, so that each is looked at a few times a heartbeat.
    fn sweep(&mut self, now: Now) {
        let slots = self.connections.capacity();
        let part = slots.div_ceil(SWEEP_SHARE).max(1);
        for _ in 0..part.min(slots) {
            self.timers.cursor = (self.timers.cursor + 1) % slots;
            let token = self.timers.cursor;
            if self.connections.contains(token) {
                self.look_after(token as u32, now);
            }
        }
    }

    fn look_after(&mut self, token: u32, now: Now) {
        let connection = &mut self.connections[token as usize];
        connection.backlog.rest();
        if let Phase::Closing { until, .. } = connection.phase {
            if now.mono >= until {
                self.cut_off(token);
            }
            return;
        }
        if let Some(farewell) = self.time_is_over(token, now) {
            return self.close(token, farewell, now);
        }
        let connection = &mut self.connections[token as usize];
        if let Phase::Joining(joining) = &connection.phase
            && now.mono.saturating_duration_since(joining.progress) > JOIN_STALL
        {
            let words = "the snapshot or what was missed is not being read";
            return self.close(token, Farewell::new(CloseReason::Slow, words), now);
        }
        if connection.speech == Speech::Echo {
            return;
        }
        if now.mono.saturating_duration_since(connection.last_pong) > self.limits.pong_timeout {
            let words = format!("no pong for {:?}", self.limits.pong_timeout);
            return self.close(token, Farewell::new(CloseReason::NoPong, words), now);
        }
        let pings = now.mono.saturating_duration_since(connection.last_ping) >= self.limits.ping;
        // A heartbeat waits for notes to be taken, a ping among them.
        self.beat(token, now);
        if pings {
            let mut ping = Vec::new();
            frame::ping_frame(&[], &mut ping);
            self.connections[token as usize].last_ping = now.mono;
            self.note_urgent(token, &ping);
        }
    }

    /// A heartbeat, where one is due and the last one was taken.
    fn beat(&mut self, token: u32, now: Now) {
        let connection = &self.connections[token as usize];
        let quiet = now.mono.saturating_duration_since(connection.last_data);
        let silent = now.mono.saturating_duration_since(connection.last_heartbeat);
        let due = quiet >= self.limits.heartbeat && silent >= self.limits.heartbeat
            || silent >= HEARTBEAT_BUSY;
        if !due || connection.backlog.note_bytes() > 0 {
            return;
        }
        let frames = self.heartbeat(connection, now);
        let connection = &mut self.connections[token as usize];
        connection.last_heartbeat = now.mono;
        connection.backlog.push_count(frames.into());
        self.heat(token);
    }

    fn heartbeat(&self, connection: &Connection, now: Now) -> Vec<u8> {
        let mut frames = Vec::new();
        let seq = match &connection.phase {
            Phase::Joining(joining) => joining.course.seq(),
            _ => self.reader.seq(),
        };
        let heartbeat = Heartbeat {
            server_time: now.unix,
            at: self.at(seq),
            records: connection.records(&self.audiences),
        };
        let counts = connection.subscriptions.iter().map(|subscription| {
            let counts = connection.counts(subscription, &self.audiences);
            Counts {
                subscription: subscription.id,
                records: counts.records,
                conflated: counts.conflated,
                dropped: counts.dropped,
            }
        });
        frame::text_with(&mut frames, |out| heartbeat.write(counts, out));
        frames
    }

    /// Tells everybody the news whose records have been handed on: that a feed has ended may not
    /// overtake the last of them.
    pub(super) fn tell_news(&mut self) {
        let seq = self.reader.seq();
        while self.news.front().is_some_and(|(after, _)| *after <= seq) {
            if let Some((_, text)) = self.news.pop_front() {
                self.announce(&text);
            }
        }
    }

    /// Tells everybody a text; those that have not read as far yet, when they have.
    fn announce(&mut self, text: &str) {
        let mut frames = Vec::new();
        frame::text_frame(text, &mut frames);
        let frames = Bytes::from(frames);
        let tokens: Vec<u32> = self.connections.iter().map(|(token, _)| token as u32).collect();
        for token in tokens {
            let connection = &mut self.connections[token as usize];
            match &mut connection.phase {
                _ if connection.speech == Speech::Echo => {}
                Phase::Closing { .. } => {}
                Phase::Joining(joining) => joining.news.push((self.reader.seq(), frames.clone())),
                Phase::Live | Phase::Behind => {
                    connection.backlog.push_note(frames.clone());
                    self.heat(token);
                }
            }
        }
    }

    /// Why this shard is being drained, where it is.
    pub(super) fn draining_for(&self) -> Option<CloseReason> {
        self.draining.as_ref().map(|draining| draining.reason)
    }

    /// Closes as many connections as should have been closed by now.
    fn drain(&mut self, now: Now) {
        let Some(draining) = &mut self.draining else { return };
        let all = *draining.counted.get_or_insert(self.connections.len());
        let due = draining.due(now.mono, all.max(self.connections.len()));
        let (reason, over) = (draining.reason, now.mono >= draining.cutoff);
        let tokens: Vec<u32> = self
            .connections
            .iter()
            .filter(|(_, connection)| !connection.is_closing())
            .map(|(token, _)| token as u32)
            .take(due.saturating_sub(draining.told))
            .collect();
        draining.told += tokens.len();
        for token in tokens {
            self.close(token, Farewell::drain(reason), now);
        }
        if over {
            self.cut_off_all();
        }
    }

    /// Tells a client why, and lets it go: the frame begun is finished, the rest dropped, the write
    /// side shut once the farewell is out, and input discarded for a while, so that a reset does
    /// not overtake the farewell.
    pub(super) fn close(&mut self, token: u32, farewell: Farewell, now: Now) {
        let Farewell { reason, words } = farewell;
        let Some(code) = reason.code() else { return self.end(token, reason) };
        if self.connections[token as usize].is_closing() {
            return;
        }
        self.send_waiting(token);
        let at = self.written(&self.connections[token as usize]);
        let frames = self.farewell_frames(token, (reason, code), &words, at);
        self.tally.closed(reason);
        self.say_goodbye(token, frames, Ending { reason, code: Some(code) }, now);
    }

    /// `closing` and a close frame for a connection that was sent what lies up to `at`.
    pub(super) fn farewell_frames(
        &self,
        token: u32,
        (reason, code): (CloseReason, u16),
        words: &str,
        at: u64,
    ) -> Vec<u8> {
        let mut frames = Vec::new();
        let connection = &self.connections[token as usize];
        if connection.speech != Speech::Echo {
            let closing = message::Closing {
                reason,
                message: words,
                reconnect_after_ms: Self::reconnect_after(connection.session),
                at: self.at(at),
            };
            frame::text_with(&mut frames, |out| closing.write(out));
        }
        frame::close_frame(code, reason.name(), &mut frames);
        frames
    }

    /// Answers a client's close frame and lets it go.
    pub(super) fn client_closes(&mut self, token: u32, code: Option<u16>, now: Now) {
        self.send_waiting(token);
        let mut frames = Vec::new();
        match code {
            Some(code) => frame::close_frame(code, "", &mut frames),
            None => frame::empty_close_frame(&mut frames),
        }
        let reason = CloseReason::ClientClosed;
        self.tally.closed(reason);
        self.say_goodbye(token, frames, Ending { reason, code }, now);
    }

    /// Writes what was noted for a connection in this turn, as far as its socket takes it: an
    /// answer or a status is not lost to a farewell that follows at once.
    fn send_waiting(&mut self, token: u32) {
        while self.connections[token as usize].hot {
            self.flush_hot();
        }
    }

    /// The last position that a connection will have been sent: a frame begun is finished.
    fn written(&self, connection: &Connection) -> u64 {
        match &connection.phase {
            Phase::Joining(joining) => connection.backlog.cursor(joining.course.seq()),
            Phase::Behind => connection.backlog.cursor_before_loss(),
            Phase::Live | Phase::Closing { .. } => connection.backlog.cursor(self.reader.seq()),
        }
    }

    pub(super) fn say_goodbye(&mut self, token: u32, frames: Vec<u8>, ending: Ending, now: Now) {
        self.part(token);
        let connection = &mut self.connections[token as usize];
        connection.backlog.drop_unbegun();
        connection.backlog.push_note(frames.into());
        connection.phase = Phase::Closing { until: now.mono + FAREWELL, shut: false, ending };
        self.heat(token);
    }

    /// Milliseconds after which to come back: spread, so that not all come at once.
    fn reconnect_after(session: u64) -> u32 {
        const SPREAD_MS: u64 = 5_000;
        100 + (session.wrapping_mul(2_654_435_761) % SPREAD_MS) as u32
    }

    /// A closing connection was flushed: once its farewell is out, its write side is shut.
    pub(super) fn settle_closing(&mut self, token: u32) {
        let connection = &mut self.connections[token as usize];
        let out = connection.backlog.is_empty();
        if out && connection.tls.as_mut().is_some_and(|session| session.part()) {
            return self.heat(token);
        }
        let empty = out && !connection.has_ciphertext();
        let (stays, writable) = (!empty, connection.writable);
        if let Phase::Closing { until, shut, .. } = &mut connection.phase
            && empty
            && !std::mem::replace(shut, true)
        {
            *until = self.now.mono + LINGER;
            // It may be gone already; then there is nothing to shut.
            let _ = connection.stream.shutdown(Shutdown::Write);
        }
        if stays && writable {
            self.heat(token);
        }
    }

    /// Ends what was noted as leaving in this turn.
    pub(super) fn take_leave(&mut self, now: Now) {
        let mut leaving = std::mem::take(&mut self.leaving);
        for (token, farewell) in leaving.drain(..) {
            match self.connections.get(token as usize) {
                None => {}
                Some(connection) if connection.is_closing() && farewell.reason.code().is_some() => {
                }
                Some(connection) if connection.is_closing() => self.cut_off(token),
                Some(_) => self.close(token, farewell, now),
            }
        }
        self.leaving = leaving;
        self.flush_hot();
    }

    /// Tells a session to go; false where it is not here. One that has a name is found at once: a
    /// newer one may come at any time. Who else is looked for, an operator wants to go.
    pub(super) fn disconnect(&mut self, session: u64, reason: CloseReason) -> bool {
        let is_it = |(_, connection): &(usize, &Connection)| connection.session == session;
        let token = self.named.get(&session).copied().or_else(|| {
            let found = (reason != CloseReason::TakenOver).then(|| self.connections.iter());
            found.and_then(|mut all| all.find(is_it)).map(|(token, _)| token as u32)
        });
        if let Some(token) = token {
            let words = match reason {
                CloseReason::TakenOver => "a newer connection carries on under this session's name",
                _ => "the operator has ended this session",
            };
            self.leaving.push((token, Farewell::new(reason, words)));
        }
        token.is_some()
    }

    /// Sends those away whose addresses are denied from now on.
    pub(super) fn expel(&mut self, denied: &Denied) {
        for (token, connection) in &self.connections {
            if denied(connection.peer.ip()) {
                let words = "this address is not let in any more";
                self.leaving.push((token as u32, Farewell::new(CloseReason::Denied, words)));
            }
        }
    }

    /// Ends a connection that can't be told anything.
    fn end(&mut self, token: u32, reason: CloseReason) {
        self.tally.closed(reason);
        self.part(token);
        let (until, ending) = (self.now.mono, Ending { reason, code: None });
        self.connections[token as usize].phase = Phase::Closing { until, shut: true, ending };
        self.cut_off(token);
    }

    /// Gives back what a connection holds of the shard.
    fn part(&mut self, token: u32) {
        self.drop_images(token);
        self.end_replay(token);
        let Self { connections, audiences, progress, tally, id, .. } = self;
        let connection = &mut connections[token as usize];
        connection.leave(token, audiences);
        tally.ended = tally.ended.plus(total(connection, audiences));
        if !std::mem::take(&mut connection.subscriptions).is_empty() {
            progress.of(*id).leave();
        }
        self.joining.retain(|joining| *joining != token);
        self.behind.retain(|behind| *behind != token);
    }

    /// Removes a connection.
    pub(super) fn cut_off(&mut self, token: u32) {
        self.part(token);
        self.hot.retain(|hot| *hot != token);
        self.readable.retain(|readable| *readable != token);
        let mut connection = self.connections.remove(token as usize);
        self.note_departure(&connection);
        self.named.remove(&connection.session);
        self.mailbox.depart();
        if let Some(session) = &mut connection.tls {
            self.encrypted -= 1;
            session.abandon(&connection.stream);
        }
        self.engine.let_go(&connection.stream);
        // The descriptor is closed with the connection, whatever the poller says.
        let _ = self.poll.registry().deregister(&mut connection.stream);
    }

    /// Removes all connections.
    fn cut_off_all(&mut self) {
        let left: Vec<u32> = self.connections.iter().map(|(token, _)| token as u32).collect();
        left.into_iter().for_each(|token| self.cut_off(token));
    }

    /// It ends: what is left of connections is cut off, each with its departure.
    pub(super) fn close_down(&mut self) {
        self.cut_off_all();
        let (departures, now) = (&self.departures, self.now.unix);
        departure::note_waiting(departures, &self.mailbox, CloseReason::Drain, now);
    }
}

const _: () =
    assert!(SWEEP.as_nanos() * SWEEP_SHARE as u128 <= Duration::from_millis(500).as_nanos());
