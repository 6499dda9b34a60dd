//! `X-Forwarded-For`: for whom a trusted proxy asks.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};

use super::networks::Networks;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// An entry that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("X-Forwarded-For names no address where a trusted proxy should have")]
pub(super) struct Nameless;

/// The client that the proxies name: the rightmost address that is no proxy's. What stands left of
/// it is the client's own say, and is not even read. None where no header is, or it names proxies
/// only.
pub(super) fn client(
    headers: &HeaderMap,
    trusted: &Networks,
) -> Result<Option<SocketAddr>, Nameless> {
    for list in headers.get_all(FORWARDED_FOR).iter().rev() {
        let list = list.to_str().map_err(|_| Nameless)?;
        for entry in list.rsplit(',') {
            let address = address(entry.trim()).ok_or(Nameless)?;
            if !trusted.contains(address.ip()) {
                return Ok(Some(address));
            }
        }
    }
    Ok(None)
}

/// `192.0.2.1`, `192.0.2.1:7`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:7`; a port that is
/// not said is 0.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    let address = alone.or_else(|| text.parse().ok())?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(lists: &[&str]) -> Result<Option<String>, Nameless> {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(FORWARDED_FOR, list.parse().unwrap());
        }
        let trusted = Networks::parse(["10.0.0.0/8", "::1"]).unwrap();
        Ok(client(&headers, &trusted)?.map(|address| address.to_string()))
    }

    #[test]
    fn the_rightmost_that_is_no_proxy_counts() {
        for (lists, expected) in [
            (&["192.0.2.1"][..], Some("192.0.2.1:0")),
            (&["1.1.1.1, 192.0.2.1"], Some("192.0.2.1:0")),
            (&["garbage, <script>, 192.0.2.1, 10.0.0.1"], Some("192.0.2.1:0")),
            (&["1.1.1.1", "192.0.2.1:77 , 10.0.0.1"], Some("192.0.2.1:77")),
            (&["192.0.2.1", "10.0.0.1, ::1"], Some("192.0.2.1:0")),
            (&["[2001:db8::1]:9"], Some("[2001:db8::1]:9")),
            (&["[2001:db8::1]"], Some("[2001:db8::1]:0")),
            (&["2001:db8::1"], Some("[2001:db8::1]:0")),
            (&["::ffff:192.0.2.1"], Some("192.0.2.1:0")),
            (&["10.0.0.1"], None),
            (&[], None),
        ] {
            assert_eq!(named(lists), Ok(expected.map(str::to_owned)), "{lists:?}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for lists in
            [&["unknown"][..], &[""], &["192.0.2.1,"], &["192.0.2.1, x"], &["1.1.1.1", "_hidden"]]
        {
            assert_eq!(named(lists), Err(Nameless), "{lists:?}");
        }
    }
}
