//! tokio-tungstenite with a broadcast channel: a task per connection, each burst fed message by
//! message and flushed once. The read buffer is small, since clients say nothing.

use std::io;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use peers::options::Options;
use peers::publisher::Publisher;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

const READ_BUFFER: usize = 4096;

fn main() -> io::Result<()> {
    let options = Options::parse();
    let publisher = Publisher::start(&options)?;
    peers::runtime()?.block_on(async {
        let listener = peers::listen(options.port)?;
        loop {
            let (socket, _) = listener.accept().await?;
            let publisher = publisher.clone();
            tokio::spawn(async move {
                if let Err(error) = serve(socket, &publisher).await {
                    eprintln!("a subscriber: {error}");
                }
            });
        }
    })
}

async fn serve(socket: TcpStream, publisher: &Publisher) -> Result<(), Error> {
    socket.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    let stream = accept_async_with_config(socket, Some(config)).await?;
    let (mut sink, mut requests) = stream.split();
    let mut bursts = publisher.subscribe();
    loop {
        tokio::select! {
            burst = bursts.recv() => match burst {
                Ok(burst) => {
                    for message in burst.iter() {
                        sink.feed(Message::Binary(message.clone())).await?;
                    }
                    sink.flush().await?;
                }
                Err(RecvError::Lagged(lost)) => eprintln!("a subscriber lost {lost} bursts"),
                Err(RecvError::Closed) => return Ok(()),
            },
            request = requests.next() => match request {
                None | Some(Ok(Message::Close(_)) | Err(_)) => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}
