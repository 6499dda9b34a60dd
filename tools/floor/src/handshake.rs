//! As much of the WebSocket handshake as any client needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// What RFC 6455 has a server append to the key.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a request at most.
const REQUEST_MAX: usize = 16 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The answer to a request that is whole, which is taken off `input`; none where it is not.
///
/// # Errors
/// The refusal to send, where it is no upgrade to a WebSocket.
pub fn answer(input: &mut Vec<u8>) -> Result<Option<String>, String> {
    let Some(end) = input.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        if input.len() > REQUEST_MAX {
            return Err(refusal("the request's head is too long"));
        }
        return Ok(None);
    };
    let head: Vec<u8> = input.drain(..end + HEAD_END.len()).collect();
    let head = String::from_utf8_lossy(&head);
    let Some(key) = field(&head, "sec-websocket-key") else {
        return Err(refusal("this is the floor: it has WebSockets and no pages"));
    };
    let accept = STANDARD.encode(Sha1::digest(format!("{key}{MAGIC}")));
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if let Some(protocols) = field(&head, "sec-websocket-protocol") {
        let first = protocols.split(',').next().unwrap_or_default().trim();
        answer.push_str(&format!("Sec-WebSocket-Protocol: {first}\r\n"));
    }
    answer.push_str("\r\n");
    Ok(Some(answer))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn refusal(why: &str) -> String {
    let length = why.len() + 1;
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: h\r\nSEC-WEBSOCKET-KEY: \
        dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: b.v1, c\r\n\r\nrest";

    #[test]
    fn the_key_of_the_rfc_gets_its_answer() {
        let mut input = REQUEST.as_bytes().to_vec();
        let answer = answer(&mut input).unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "));
        assert!(answer.contains("Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.contains("Protocol: b.v1\r\n") && answer.ends_with("\r\n\r\n"));
        assert_eq!(input, b"rest");
    }

    #[test]
    fn half_a_request_waits_and_a_page_is_refused() {
        let mut half = REQUEST.as_bytes()[..40].to_vec();
        assert_eq!(answer(&mut half), Ok(None));
        let mut page = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
        assert!(answer(&mut page).unwrap_err().starts_with("HTTP/1.1 400"));
        let mut endless = vec![b'x'; REQUEST_MAX + 1];
        assert!(answer(&mut endless).unwrap_err().contains("too long"));
    }
}
