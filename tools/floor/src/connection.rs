//! One subscriber: its handshake, its requests, and what its socket took.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use mio::net::TcpStream;

use crate::client_frame::{self, ClientFrame};
use crate::dialogue::{self, Counts};
use crate::framer::Payload;
use crate::handshake;
use crate::tally::Tally;

const TEXT: u8 = 0x81;
const PONG: u8 = 0x8a;
const CLOSE_NORMAL: [u8; 4] = [0x88, 2, 0x03, 0xe8];
/// Bytes of one read.
const READ: usize = 16 << 10;

/// How far a subscriber is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its request for an upgrade is awaited.
    Handshake,
    /// Its subscription is awaited.
    Welcomed,
    /// Records are due.
    Subscribed,
}

/// A subscriber that is there.
pub struct Connection {
    pub(crate) socket: TcpStream,
    stage: Stage,
    input: Vec<u8>,
    /// What a full socket did not take of a frame that was begun, and answers behind it.
    tail: Vec<u8>,
    counts: Counts,
    pub(crate) since: Instant,
}

impl Connection {
    /// A connection that was accepted.
    ///
    /// # Errors
    /// Where the socket is gone already.
    pub fn new(socket: TcpStream) -> std::io::Result<Self> {
        socket.set_nodelay(true)?;
        let (input, tail) = (Vec::new(), Vec::new());
        let counts = Counts::default();
        Ok(Self { socket, stage: Stage::Handshake, input, tail, counts, since: Instant::now() })
    }

    /// Its handshake is done.
    pub fn is_welcome(&self) -> bool {
        self.stage != Stage::Handshake
    }

    /// Records are due to it.
    pub fn is_subscribed(&self) -> bool {
        self.stage == Stage::Subscribed
    }

    /// Reads and answers what came; `seq` is the newest record's number.
    ///
    /// # Errors
    /// Why it is over.
    pub fn listen(&mut self, payload: Payload, seq: u64) -> Result<(), String> {
        let mut buffer = [0; READ];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err("it left".to_owned()),
                Ok(read) => self.input.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            }
            // After each read, so that what is not understood stays small.
            if self.stage == Stage::Handshake {
                self.shake_hands(payload)?;
            }
            if self.stage != Stage::Handshake {
                self.converse(payload, seq)?;
            }
        }
    }

    fn shake_hands(&mut self, payload: Payload) -> Result<(), String> {
        match handshake::answer(&mut self.input) {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => {
                self.stage = match payload {
                    Payload::Raw48 => Stage::Subscribed,
                    Payload::Broadtape => Stage::Welcomed,
                };
                self.say(answer.as_bytes())?;
                if payload == Payload::Raw48 {
                    return Ok(());
                }
                self.say_frame(TEXT, dialogue::welcome().as_bytes())
            }
            Err(refusal) => {
                self.say(refusal.as_bytes())?;
                Err("it asked for no WebSocket".to_owned())
            }
        }
    }

    fn converse(&mut self, payload: Payload, seq: u64) -> Result<(), String> {
        while let Some(frame) = client_frame::take(&mut self.input)? {
            match frame {
                ClientFrame::Text(request) if payload == Payload::Broadtape => {
                    let answer = dialogue::answer(&request, seq, self.counts)?;
                    self.say_frame(TEXT, answer.text.as_bytes())?;
                    if answer.subscribed {
                        self.stage = Stage::Subscribed;
                    }
                }
                ClientFrame::Ping(data) => self.say_frame(PONG, &data)?,
                ClientFrame::Close => {
                    // It is over whether or not it still listens.
                    let _ = self.say(&CLOSE_NORMAL);
                    return Err("it said goodbye".to_owned());
                }
                ClientFrame::Text(_) | ClientFrame::Other => {}
            }
        }
        Ok(())
    }

    fn say_frame(&mut self, first: u8, payload: &[u8]) -> Result<(), String> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(short as u8),
            long => {
                frame.push(126);
                frame.extend_from_slice(&(long as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        self.say(&frame)
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.tail.extend_from_slice(bytes);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), String> {
        while !self.tail.is_empty() {
            match self.socket.write(&self.tail) {
                Ok(0) => return Err("its socket takes nothing".to_owned()),
                Ok(written) => drop(self.tail.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// May records be sent? Not before the rest of a frame that was begun; they are dropped.
    ///
    /// # Errors
    /// Why it is over.
    #[inline]
    pub(crate) fn ready(&mut self, records: u64, tally: &mut Tally) -> Result<bool, String> {
        if !self.tail.is_empty() {
            self.flush()?;
            if !self.tail.is_empty() {
                self.dropped(records, tally);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One send(2) of these bytes.
    ///
    /// # Errors
    /// Why it is over.
    #[inline]
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        records: u64,
        tally: &mut Tally,
    ) -> Result<(), String> {
        match self.socket.write(bytes) {
            Ok(taken) => self.took(taken, bytes, records, tally),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.dropped(records, tally),
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    /// The socket took so many of these bytes.
    #[inline]
    pub(crate) fn took(&mut self, taken: usize, bytes: &[u8], records: u64, tally: &mut Tally) {
        self.counts.records += records;
        if taken < bytes.len() {
            tally.partial += 1;
            self.tail.extend_from_slice(&bytes[taken..]);
        }
    }

    /// The socket was full.
    pub(crate) fn dropped(&mut self, records: u64, tally: &mut Tally) {
        self.counts.dropped += records;
        tally.dropped += records;
    }
}
