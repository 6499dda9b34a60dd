//! fastwebsockets with a broadcast channel: a task per connection writes each burst into a buffer
//! and flushes it once, a second task reads what the client says.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use clap::Parser;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{Frame, OpCode, Payload, WebSocketError, WebSocketRead};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::options::Options;
use peers::publisher::Publisher;
use tokio::io::{AsyncRead, BufWriter};
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;

/// Bytes that are collected for one write at most.
const WRITE_BUFFER: usize = 64 << 10;

fn main() -> io::Result<()> {
    let options = Options::parse();
    let publisher = Publisher::start(&options)?;
    peers::runtime()?.block_on(async {
        let listener = peers::listen(options.port)?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            tokio::spawn(handshake(socket, publisher.clone()));
        }
    })
}

async fn handshake(socket: TcpStream, publisher: Publisher) {
    let service = service_fn(|mut request: Request<Incoming>| {
        let publisher = publisher.clone();
        async move {
            let Ok((response, upgraded)) = upgrade(&mut request) else {
                let mut refusal = Response::new(Empty::new());
                *refusal.status_mut() = StatusCode::BAD_REQUEST;
                return Ok(refusal);
            };
            tokio::spawn(async move {
                if let Err(error) = serve(upgraded, &publisher).await {
                    eprintln!("a subscriber: {error}");
                }
            });
            Ok::<Response<Empty<Bytes>>, Infallible>(response)
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.with_upgrades().await {
        eprintln!("a handshake: {error}");
    }
}

async fn serve(upgraded: UpgradeFut, publisher: &Publisher) -> Result<(), WebSocketError> {
    let stream = upgraded.await?;
    let (requests, mut out) = stream.split(|stream| {
        let (read, write) = tokio::io::split(stream);
        (read, BufWriter::with_capacity(WRITE_BUFFER, write))
    });
    let mut bursts = publisher.subscribe();
    let mut leaving = tokio::spawn(listen(requests));
    loop {
        tokio::select! {
            burst = bursts.recv() => match burst {
                Ok(burst) => {
                    for message in burst.iter() {
                        let payload = Payload::Bytes(message.as_ref().into());
                        out.write_frame(Frame::binary(payload)).await?;
                    }
                    out.flush().await?;
                }
                Err(RecvError::Lagged(lost)) => eprintln!("a subscriber lost {lost} bursts"),
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = &mut leaving => {
                out.write_frame(Frame::close(1000, b"")).await?;
                return out.flush().await;
            }
        }
    }
}

/// Reads until the client leaves.
async fn listen<R: AsyncRead + Unpin>(mut requests: WebSocketRead<R>) {
    // Answers to pings would have to go through the other task; our clients send none.
    let mut unanswered = |_: Frame<'_>| async { Ok::<(), WebSocketError>(()) };
    while let Ok(frame) = requests.read_frame(&mut unanswered).await {
        if frame.opcode == OpCode::Close {
            return;
        }
    }
}
