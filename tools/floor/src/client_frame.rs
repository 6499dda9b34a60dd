//! Frames as clients send them: small, masked, unfragmented.

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// A request.
    Text(Vec<u8>),
    /// To be answered with the same bytes.
    Ping(Vec<u8>),
    /// It leaves.
    Close,
    /// Nothing that matters here.
    Other,
}

/// Longest payload: a request of 1,024 symbols fits.
const PAYLOAD_MAX: usize = 64 << 10;
const MASKED: u8 = 0x80;
const MASK: usize = 4;

/// Takes the first whole frame off `input`; none where it is incomplete.
///
/// # Errors
/// What no client of the floor sends, in words.
pub fn take(input: &mut Vec<u8>) -> Result<Option<ClientFrame>, String> {
    let &[first, second, ..] = input.as_slice() else { return Ok(None) };
    if second & MASKED == 0 {
        return Err("an unmasked frame: clients have to mask".to_owned());
    }
    let (head, len) = match second & !MASKED {
        126 => match input.get(2..4) {
            Some(&[a, b]) => (4, usize::from(u16::from_be_bytes([a, b]))),
            _ => return Ok(None),
        },
        127 => return Err(format!("a frame of more than {PAYLOAD_MAX} bytes")),
        short => (2, usize::from(short)),
    };
    let end = head + MASK + len;
    let Some(masked) = input.get(head + MASK..end) else { return Ok(None) };
    let mask = &input[head..head + MASK];
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    let frame = match first {
        0x81 => ClientFrame::Text(payload),
        0x88 => ClientFrame::Close,
        0x89 => ClientFrame::Ping(payload),
        0x82 | 0x8a => ClientFrame::Other,
        other => return Err(format!("a frame that begins with {other:#04x}: it is fragmented")),
    };
    input.drain(..end);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let key = [1, 2, 3, 4];
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..=125 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
        }
        frame.extend(key);
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    #[test]
    fn frames_come_one_by_one_and_only_when_whole() {
        let long = vec![7; 300];
        let mut all = masked(0x81, b"hello");
        all.extend(masked(0x89, &long));
        for cut in 0..masked(0x81, b"hello").len() {
            assert_eq!(take(&mut all[..cut].to_vec()), Ok(None), "cut at {cut}");
        }
        assert_eq!(take(&mut all), Ok(Some(ClientFrame::Text(b"hello".to_vec()))));
        assert_eq!(take(&mut all), Ok(Some(ClientFrame::Ping(long))));
        assert!(all.is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(take(&mut vec![0x81, 5, 0, 0]).unwrap_err().contains("mask"));
        assert!(take(&mut masked(0x01, b"part")).unwrap_err().contains("fragmented"));
        assert!(take(&mut vec![0x81, 0xff, 0, 0]).unwrap_err().contains("more than"));
    }
}
