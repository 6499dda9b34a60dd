//! A client on tungstenite that takes one message after the other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::program::Program;

/// How long anything that has to come may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    socket: WebSocket<TcpStream>,
    pub(crate) welcome: Value,
    /// Data that came while an answer was awaited.
    pub(crate) data: Vec<Value>,
    /// What else came.
    pub(crate) told: Vec<Value>,
    id: u64,
}

impl Client {
    /// Comes in with a token in the header, or with none.
    pub(crate) fn connect(server: &Program, token: Option<&str>) -> Self {
        let bearer = token.map(|token| ("authorization", format!("Bearer {token}")));
        Self::knock(server, &bearer.into_iter().collect::<Vec<_>>()).expect("let in")
    }

    /// A handshake with these headers; the status where it is refused.
    pub(crate) fn knock(
        server: &Program,
        headers: &[(&str, String)],
    ) -> Result<Self, (u16, Value)> {
        let stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = server.url().into_client_request().unwrap();
        for (name, value) in headers {
            let name: tungstenite::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => {
                let (data, told) = (Vec::new(), Vec::new());
                let mut client = Self { socket, welcome: Value::Null, data, told, id: 0 };
                client.welcome = client.next().expect("a welcome");
                Ok(client)
            }
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                let body = answer.body().clone().unwrap_or_default();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                Err((answer.status().as_u16(), body))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The next text; none at the end.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return None,
                Ok(_) => {}
                Err(tungstenite::Error::Protocol(_)) => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn send(&mut self, method: &str, params: Value) -> u64 {
        self.id += 1;
        let request = json!({"id": self.id, "method": method, "params": params});
        self.socket.send(Message::text(request.to_string())).unwrap();
        self.id
    }

    /// The answer to a request.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.until(|message| message["id"] == id)
    }

    /// What a request is refused with: code and reason.
    pub(crate) fn refused(&mut self, method: &str, params: Value) -> (u64, String) {
        let answer = self.ask(method, params);
        assert_eq!(answer["success"], false, "{answer}");
        let error = &answer["error"];
        (error["code"].as_u64().unwrap(), error["reason"].as_str().unwrap().to_owned())
    }

    /// The result of a request.
    pub(crate) fn granted(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert_eq!(answer["success"], true, "{answer}");
        answer["result"].clone()
    }

    /// Reads until a message is what is looked for; what comes before it is kept.
    pub(crate) fn until(&mut self, right: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let message = self.next().expect("it goes on");
            if right(&message) {
                return message;
            }
            assert!(begun.elapsed() < PATIENCE, "what is waited for does not come");
            match message["type"] == "data" {
                true => self.data.push(message),
                false => self.told.push(message),
            }
        }
    }

    /// The next data with records that are events.
    pub(crate) fn records(&mut self) -> Vec<Value> {
        let data = self.until(|message| message["type"] == "data" && !is_snapshot(message));
        data["records"].as_array().unwrap().clone()
    }

    /// Reads to the end: code and reason of `closing`, and the data that came before.
    pub(crate) fn closed(&mut self) -> (u64, String) {
        let closing = self.until(|message| message["type"] == "closing");
        assert!(self.next().is_none(), "nothing follows closing");
        (closing["code"].as_u64().unwrap(), closing["reason"].as_str().unwrap().to_owned())
    }
}

pub(crate) fn is_snapshot(data: &Value) -> bool {
    data["flags"].as_array().unwrap().iter().any(|flag| flag == "snapshot")
}

/// The status and the body of a page.
pub(crate) fn page(server: &Program, path: &str, token: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let bearer = token.map(|t| format!("authorization: Bearer {t}\r\n")).unwrap_or_default();
    let host = &server.address;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{bearer}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}
