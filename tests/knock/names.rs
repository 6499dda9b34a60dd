//! `?session=NAME`: the newest connection of a name has it, the older one is told.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use crate::front::{Front, head, status};
use crate::limits::{from, proxied};

/// A handshake for a session of this name.
fn named(front: &Front, name: &str) -> String {
    let path = format!("/v1/stream?session={name}");
    front.handshake("").replacen("/v1/stream", &path, 1)
}

fn opened(mut stream: TcpStream) -> TcpStream {
    assert_eq!(status(&head(&mut stream)), 101);
    stream
}

/// What comes until the server ends it.
fn end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    assert!(read.is_ok_and(|_| true) || bytes.is_empty(), "the server ends it in order");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Has it something to read, and no end?
fn lives(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) if String::from_utf8_lossy(&bytes[..count]).contains("heartbeat") => {
                return true;
            }
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::Interrupted,
        }
    }
}

#[test]
fn the_newest_takes_over() {
    let front = Front::start(&[]);
    let mut first = opened(front.say(named(&front, "desk-7")));
    let mut other = opened(front.say(named(&front, "desk-8")));
    let mut nameless = opened(front.say(front.handshake("")));
    for _ in 0..10 {
        let next = opened(front.say(named(&front, "desk-7")));
        let said = end(&mut first);
        assert!(
            said.contains("\"code\":4011") && said.contains("\"reason\":\"taken_over\""),
            "{said}"
        );
        first = next;
    }
    assert!(lives(&mut first) && lives(&mut other) && lives(&mut nameless));
    assert_eq!(front.events("taken_over"), 10.0);
    assert_eq!(front.sessions(3).len(), 3);
    // A name is free once its session has gone.
    drop(first);
    front.sessions(2);
    let mut again = opened(front.say(named(&front, "desk-7")));
    assert!(lives(&mut again));
    assert_eq!(front.events("taken_over"), 10.0);
}

#[test]
fn names_of_others_are_others() {
    let front = proxied(&["--shards=2"]);
    let mut first = opened(front.say(from("203.0.113.7", &named(&front, "desk"))));
    let mut second = opened(front.say(from("203.0.113.8", &named(&front, "desk"))));
    assert!(lives(&mut first) && lives(&mut second));
    let mut third = opened(front.say(from("203.0.113.7", &named(&front, "desk"))));
    assert!(end(&mut first).contains("taken_over"));
    assert!(lives(&mut second) && lives(&mut third));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let front = Front::start(&[]);
    for name in ["", "a%20b", "a/b", &"x".repeat(65)] {
        let said = front.answer(named(&front, name));
        assert!(status(&said) == 400 && said.contains("letters, digits"), "{name}: {said}");
    }
}
