//! The upgrade of a connection to a WebSocket (RFC 6455, 4.1), without the connection: the request
//! to send, and the judge of what comes back.

use fastwebsockets::handshake::generate_key;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;

use super::ConnectError;
use super::target::Target;

/// Headers of an answer at most.
const HEADERS_MAX: usize = 64;
/// Bytes of an answer's head at most.
const HEAD_MAX: usize = 16 << 10;
/// Bytes of a refusal's body that an error message quotes.
const QUOTE_MAX: usize = 200;
/// An alert of TLS begins so.
const TLS_ALERT: &[u8] = &[0x15, 0x03];
/// The status of an upgrade.
const SWITCHING_PROTOCOLS: u16 = 101;

/// A handshake under way.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// What the server must answer to our key.
    accept: String,
    /// What it must answer as the subprotocol.
    protocol: Option<&'static str>,
}

impl Handshake {
    /// A handshake with a key of its own, and the request that opens it.
    ///
    /// # Errors
    /// [`ConnectError::Foreign`] where the target's path can't stand in a request.
    pub(crate) fn new(
        target: &Target,
        protocol: Option<&'static str>,
    ) -> Result<(Self, Vec<u8>), ConnectError> {
        let key = generate_key();
        let accept = accept(target, &key).map_err(|what| foreign(target, &what))?;
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n",
            target.path(),
            target.authority()
        );
        if let Some(protocol) = protocol {
            request.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
        }
        if let Some(token) = target.token() {
            request.push_str(&format!("Authorization: Bearer {}\r\n", token.expose()));
        }
        request.push_str("\r\n");
        Ok((Self { accept, protocol }, request.into_bytes()))
    }

    /// Judges the answer as far as it has come, the last of it where it has `ended`; gives the
    /// length of its head, behind which frames begin, and none where more has to come.
    ///
    /// # Errors
    /// [`ConnectError`]: what the server answered instead.
    pub(crate) fn answer(
        &self,
        target: &Target,
        bytes: &[u8],
        ended: bool,
    ) -> Result<Option<usize>, ConnectError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(bytes).map_err(|e| unreadable(target, bytes, &e))?;
        let httparse::Status::Complete(head) = parsed else {
            return match () {
                () if ended => Err(foreign(target, "it ended the connection before its answer")),
                () if bytes.len() > HEAD_MAX => Err(foreign(target, "its head has no end")),
                () => Ok(None),
            };
        };
        let header = |name: &str| {
            let found = answer.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
            found.and_then(|h| std::str::from_utf8(h.value).ok())
        };
        let status = answer.code.unwrap_or_default();
        if status != SWITCHING_PROTOCOLS {
            return refused(target, status, &bytes[head..], header("content-length"), ended);
        }
        self.verify(target, header).map(|()| Some(head))
    }

    fn verify<'a>(
        &self,
        target: &Target,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), ConnectError> {
        let address = target.authority();
        let upgrade = header("upgrade").unwrap_or("nothing");
        if !upgrade.eq_ignore_ascii_case("websocket") {
            let what = format!("it upgraded to {upgrade:?}, not to websocket");
            return Err(ConnectError::NoWebSocket { address, what });
        }
        if header("sec-websocket-accept") != Some(&self.accept) {
            let what = "its Sec-WebSocket-Accept does not answer the key".to_owned();
            return Err(ConnectError::NoWebSocket { address, what });
        }
        let Some(protocol) = self.protocol else { return Ok(()) };
        match header("sec-websocket-protocol").unwrap_or("nothing") {
            answered if answered == protocol => Ok(()),
            answered => {
                let what = format!("of subprotocol {protocol} it answered {answered}");
                Err(ConnectError::NotBroadtape { address, what })
            }
        }
    }
}

/// What RFC 6455 has a server answer to `key`.
fn accept(target: &Target, key: &str) -> Result<String, String> {
    let request = Request::get(target.path())
        .header("Sec-WebSocket-Key", key)
        .header("Sec-WebSocket-Version", "13")
        .body(Empty::<Bytes>::new());
    let mut request = request.map_err(|e| e.to_string())?;
    let (answer, _) = fastwebsockets::upgrade::upgrade(&mut request).map_err(|e| e.to_string())?;
    let accept = answer.headers().get("sec-websocket-accept").and_then(|v| v.to_str().ok());
    Ok(accept.unwrap_or_default().to_owned())
}

/// Quotes an answer that is no upgrade, once enough of it is there.
fn refused(
    target: &Target,
    status: u16,
    body: &[u8],
    length: Option<&str>,
    ended: bool,
) -> Result<Option<usize>, ConnectError> {
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(QUOTE_MAX);
    if body.len() < length.min(QUOTE_MAX) && !ended {
        return Ok(None);
    }
    let body = String::from_utf8_lossy(&body[..body.len().min(QUOTE_MAX)]).trim().to_owned();
    let body = if body.is_empty() { body } else { format!(": {body}") };
    let (address, path) = (target.authority(), target.path().to_owned());
    Err(ConnectError::Status { address, path, status, body })
}

/// Who is asked in the clear and expects TLS answers with an alert of TLS.
fn unreadable(target: &Target, bytes: &[u8], error: &httparse::Error) -> ConnectError {
    match target.tls() {
        None if bytes.starts_with(TLS_ALERT) => foreign(target, "it speaks TLS; write wss://"),
        _ => foreign(target, &error.to_string()),
    }
}

fn foreign(target: &Target, reason: &str) -> ConnectError {
    ConnectError::Foreign { address: target.authority(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(protocol: Option<&'static str>) -> (Target, Handshake) {
        let target: Target = "ws://h:1/s".parse().unwrap();
        let (handshake, request) = Handshake::new(&target, protocol).unwrap();
        let request = String::from_utf8(request).unwrap();
        assert!(request.starts_with("GET /s HTTP/1.1\r\nHost: h:1\r\n"), "{request}");
        assert_eq!(request.contains("Protocol: p\r\n"), protocol.is_some());
        (target, handshake)
    }

    fn upgraded(accept: &str) -> String {
        format!(
            "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nsec-websocket-accept: {accept}\r\n\
             Sec-WebSocket-Protocol: p\r\n\r\n"
        )
    }

    #[test]
    fn frames_begin_behind_the_answer_that_the_key_asks_for() {
        let (target, handshake) = handshake(Some("p"));
        let head = upgraded(&handshake.accept);
        let answer = |bytes: &[u8]| handshake.answer(&target, bytes, false);
        let with_frames = [head.as_bytes(), b"\x81\x00"].concat();
        assert_eq!(answer(&with_frames).unwrap(), Some(head.len()));
        for cut in 0..head.len() {
            assert_eq!(answer(&head.as_bytes()[..cut]).unwrap(), None);
        }
    }

    #[test]
    fn the_key_of_the_standard_gets_the_answer_of_the_standard() {
        let target = "ws://h:1/s".parse().unwrap();
        let answer = accept(&target, "dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn every_other_answer_says_what_is_wrong_with_it() {
        let (target, handshake) = handshake(Some("p"));
        let error = |bytes: &str, ended| {
            handshake.answer(&target, bytes.as_bytes(), ended).unwrap_err().to_string()
        };
        let other = upgraded(&handshake.accept).replace("Protocol: p", "Protocol: q");
        for (answer, ended, words) in [
            (upgraded("x").as_str(), false, "does not answer the key"),
            (other.as_str(), false, "of subprotocol p it answered q"),
            ("HTTP/1.1 101 x\r\n\r\n", false, "upgraded to \"nothing\""),
            ("HTTP/1.1 404 x\r\ncontent-length: 3\r\n\r\nno!", false, "HTTP 404: no!"),
            ("HTTP/1.1 404 x\r\n\r\nno", true, "answered /s with HTTP 404: no"),
            ("HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n", false, "HTTP 204"),
            ("", true, "ended the connection before its answer"),
            ("SSH-2.0-x\r\n", false, "does not answer in HTTP"),
            ("\x15\x03\x03\0\x02\x02\x32", false, "it speaks TLS; write wss://"),
        ] {
            assert!(error(answer, ended).contains(words), "{}", error(answer, ended));
        }
        let endless = format!("HTTP/1.1 101 x\r\na: {}", "b".repeat(HEAD_MAX));
        assert!(error(&endless, false).contains("its head has no end"));
    }

    #[test]
    fn a_refusal_is_quoted_when_its_body_is_there() {
        let (target, handshake) = handshake(None);
        let answer = b"HTTP/1.1 503 x\r\ncontent-length: 5\r\n\r\nful";
        assert_eq!(handshake.answer(&target, answer, false).unwrap(), None);
        assert!(handshake.answer(&target, answer, true).is_err());
    }
}
