//! What comes in: new connections, readiness, and the frames that clients send.

use std::io;

use mio::{Interest, Token};

use crate::clock::Now;
use crate::limits::{
    ECHO_MESSAGE_MAX, MESSAGE_COST, QUEUE_MIN, READ_BYTES_OVER_RATE, READ_COST, READ_WORK_PER_TURN,
};
use crate::shard::Shard;
use crate::shard::command::{Arrival, Speech};
use crate::shard::connection::{Connection, Farewell};
use crate::shard::run::ALARM;
use crate::socket::read::{Event, Violation};
use crate::socket::write::Engine;
use crate::wire::close::CloseReason;
use crate::wire::frame::{self, Opcode};
use crate::wire::message;

/// Unsent answers above this stop a connection from being read: who asks has to listen.
const NOTES_MAX: usize = QUEUE_MIN / 2;

/// What the frames of one read lead to.
enum Step {
    Text(String),
    Binary,
    Echo(Opcode, Vec<u8>),
    Pong,
    Ping(Vec<u8>),
    Close(Option<u16>),
}

impl<E: Engine> Shard<E> {
    /// Takes a connection over from the gate.
    pub(super) fn attach(&mut self, arrival: Arrival, now: Now) {
        let Arrival { session, stream, tls, leftover, peer, speech, pass, entry } = arrival;
        let message_max = match speech {
            Speech::Stream(_) => self.limits.message_max,
            Speech::Echo => ECHO_MESSAGE_MAX,
        };
        let mut connection =
            Connection::new((session, stream, peer, speech), &self.limits, now, message_max);
        connection.pass = pass;
        self.encrypted += usize::from(tls.is_some());
        connection.tls = tls;
        let slot = self.connections.vacant_entry();
        let token = slot.key() as u32;
        if connection.pass.as_ref().is_some_and(|pass| pass.named) {
            self.named.insert(session, token);
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered =
            self.poll.registry().register(&mut connection.stream, Token(token as usize), interest);
        self.engine.hold(&slot.insert(connection).stream);
        if let Err(error) = registered {
            self.leaving.push((token, Farewell::new(CloseReason::Internal, error.to_string())));
            return;
        }
        let stands = self.enter(token, entry, now);
        if let Speech::Stream(encoding) = speech {
            let mut frames = Vec::new();
            let unknown = self.connections[token as usize].is_unknown();
            let welcome = message::Welcome {
                session,
                at: (!unknown).then(|| self.at(self.reader.seq())),
                server_time: now.unix,
                encoding,
                limits: &self.limits,
            };
            frame::text_with(&mut frames, |out| welcome.write(out));
            self.note(token, frames);
        }
        if !stands {
            return;
        }
        if let Some(reason) = self.draining_for() {
            return self.leaving.push((token, Farewell::drain(reason)));
        }
        let mut leftover = leftover.to_vec();
        self.take_input(token, &mut leftover, now);
        self.mark_readable(token);
    }

    /// Takes what the poller says without waiting, unless a sleep has just ended with it, then
    /// reads, bounded, from those with input.
    pub(super) fn poll_sockets(&mut self, now: Now) -> usize {
        if !std::mem::take(&mut self.rest.polled) {
            if self.poll.poll(&mut self.events, Some(std::time::Duration::ZERO)).is_err() {
                return 0;
            }
            self.note_readiness();
        }
        let readable = std::mem::take(&mut self.readable);
        let (mut done, mut work) = (0, 0);
        while done < readable.len() && work < READ_WORK_PER_TURN {
            work += READ_COST + self.read_some(readable[done], now);
            done += 1;
        }
        // Those that had no turn come first in the next one.
        self.readable.splice(0..0, readable[done..].iter().copied());
        done
    }

    /// Notes what the poller's events say.
    pub(super) fn note_readiness(&mut self) {
        let events = std::mem::replace(&mut self.events, mio::Events::with_capacity(0));
        for event in events.iter().filter(|event| event.token() < ALARM) {
            let token = event.token().0 as u32;
            let Some(connection) = self.connections.get_mut(token as usize) else { continue };
            if event.is_writable() && !connection.writable {
                connection.writable = true;
                self.heat(token);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.mark_readable(token);
            }
        }
        self.events = events;
    }

    fn mark_readable(&mut self, token: u32) {
        let connection = &mut self.connections[token as usize];
        if !std::mem::replace(&mut connection.readable, true) {
            self.readable.push(token);
        }
    }

    /// One read of a connection's input, and what it cost.
    fn read_some(&mut self, token: u32, now: Now) -> usize {
        let Some(connection) = self.connections.get_mut(token as usize) else { return 0 };
        connection.readable = false;
        if connection.backlog.note_bytes() > NOTES_MAX && !connection.is_closing() {
            connection.paused = true;
            return 0;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let most = if connection.over_rate { READ_BYTES_OVER_RATE } else { buffer.len() };
        let read = connection.read(&mut buffer[..most]);
        let mut work = 0;
        match read {
            Ok(0) => self.input_ended(token),
            Ok(count) => {
                work = count + MESSAGE_COST * self.take_input(token, &mut buffer[..count], now);
                self.mark_readable(token);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Records of TLS that hold no data: the next ones have their turn.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.mark_readable(token),
            Err(error) => {
                let broken = error.kind() == io::ErrorKind::InvalidData;
                let reason = if broken { CloseReason::TlsError } else { CloseReason::Reset };
                self.leaving.push((token, Farewell::new(reason, error.to_string())));
            }
        }
        self.buffer = buffer;
        if self.connections.get(token as usize).is_some_and(Connection::has_ciphertext) {
            self.heat(token);
        }
        work
    }

    /// Reads on from a connection that has taken its answers.
    pub(super) fn resume_reading(&mut self, token: u32) {
        let connection = &mut self.connections[token as usize];
        let taken = connection.backlog.note_bytes() <= NOTES_MAX || connection.is_closing();
        if connection.paused && taken {
            connection.paused = false;
            self.mark_readable(token);
        }
    }

    fn input_ended(&mut self, token: u32) {
        let words = "the client ended the connection";
        self.leaving.push((token, Farewell::new(CloseReason::ClientGone, words)));
    }

    /// Takes bytes that a client sent, and returns how many frames ended in them.
    fn take_input(&mut self, token: u32, input: &mut [u8], now: Now) -> usize {
        let mut rest = input;
        let mut frames = 0;
        while let Some(step) = self.next_step(token, &mut rest) {
            frames += 1;
            match step {
                Step::Text(text) => self.take_request(token, &text, now),
                Step::Echo(opcode, payload) => {
                    let mut frames = Vec::new();
                    frame::message_frame(opcode, &payload, &mut frames);
                    self.note(token, frames);
                }
                Step::Ping(payload) => {
                    let mut pong = Vec::new();
                    frame::pong_frame(&payload, &mut pong);
                    self.note_urgent(token, &pong);
                }
                Step::Pong => self.connections[token as usize].last_pong = now.mono,
                Step::Binary => {
                    let words = "requests are text messages: this one was binary";
                    self.close(token, Farewell::new(CloseReason::UnsupportedData, words), now);
                }
                Step::Close(code) => self.client_closes(token, code, now),
            }
        }
        frames
    }

    /// The next thing to do about a connection's input; none where there is none, or no use in it.
    fn next_step(&mut self, token: u32, rest: &mut &mut [u8]) -> Option<Step> {
        let connection = &mut self.connections[token as usize];
        if connection.is_closing() {
            return None;
        }
        let echo = connection.speech == Speech::Echo;
        match connection.guard.next(rest) {
            Ok(event) => event.map(|event| step_of(event, echo)),
            Err(violation) => {
                self.violated(token, violation);
                None
            }
        }
    }

    fn violated(&mut self, token: u32, violation: Violation) {
        let farewell = Farewell::new(violation.reason(), violation.to_string());
        self.leaving.push((token, farewell));
    }

    /// Puts frames at the end of what a connection is sent.
    pub(super) fn note(&mut self, token: u32, frames: Vec<u8>) {
        self.connections[token as usize].note(frames);
        self.heat(token);
    }

    /// Puts frames before everything that has not been begun.
    pub(super) fn note_urgent(&mut self, token: u32, frames: &[u8]) {
        self.connections[token as usize].backlog.push_urgent(frames);
        self.heat(token);
    }
}

/// What a frame leads to, detached from the buffer it lies in.
fn step_of(event: Event<'_>, echo: bool) -> Step {
    match event {
        Event::Text(text) if echo => Step::Echo(Opcode::Text, text.as_bytes().to_vec()),
        Event::Binary(bytes) if echo => Step::Echo(Opcode::Binary, bytes.to_vec()),
        Event::Text(text) => Step::Text(text.to_string()),
        Event::Binary(_) => Step::Binary,
        Event::Ping(payload) => Step::Ping(payload.to_vec()),
        Event::Pong(_) => Step::Pong,
        Event::Close(close) => Step::Close(close.map(|(code, _)| code)),
    }
}
