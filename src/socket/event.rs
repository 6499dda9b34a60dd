//! What a client said: whole messages, and what may stand in them.

use std::borrow::Cow;

use super::head::Violation;
use crate::wire::close::is_close_code;
use crate::wire::frame::Opcode;

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message of text.
    Text(Cow<'a, str>),
    /// A whole message of bytes.
    Binary(Cow<'a, [u8]>),
    /// To be answered with a pong of the same bytes, at most 125.
    Ping(Cow<'a, [u8]>),
    /// The answer to a ping, or one that nobody asked for.
    Pong(Cow<'a, [u8]>),
    /// The client ends the connection: code and words, where it gave them. Nothing follows.
    Close(Option<(u16, Cow<'a, str>)>),
}

/// The event of a frame or a message whose payload is whole.
pub(super) fn whole(opcode: Opcode, payload: Cow<'_, [u8]>) -> Result<Event<'_>, Violation> {
    Ok(match opcode {
        Opcode::Text => Event::Text(text(payload)?),
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        Opcode::Close => Event::Close(close(payload)?),
        Opcode::Binary | Opcode::Continuation => Event::Binary(payload),
    })
}

fn text(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Violation> {
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    text.ok_or(Violation::BadUtf8)
}

/// The code and the words of a close frame's payload.
fn close(payload: Cow<'_, [u8]>) -> Result<Option<(u16, Cow<'_, str>)>, Violation> {
    let Some(&code) = payload.first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::CloseLength) };
    };
    let code = u16::from_be_bytes(code);
    if !is_close_code(code) {
        return Err(Violation::CloseCode(code));
    }
    let words = match payload {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[2..]),
        Cow::Owned(bytes) => Cow::Owned(bytes[2..].to_vec()),
    };
    Ok(Some((code, text(words)?)))
}
