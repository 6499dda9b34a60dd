//! `/v1/echo`, for conformance tests: nothing but what was sent, however large, however slowly it
//! is taken.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::program::Program;

/// The largest message that it takes.
const LARGEST: usize = 16 << 20;

#[tokio::test]
async fn messages_far_beyond_the_queue_come_back_whole() {
    let server = Program::start(&["serve", "--log", "error", "--enable-echo"]);
    if server.encrypted {
        // `tests/tls` has its own echo.
        return;
    }
    let (socket, _) = connect_async(format!("ws://{}/v1/echo", server.address)).await.unwrap();
    let (mut write, mut read) = socket.split();
    let message = |letter: &str| Message::text(letter.repeat(LARGEST));
    write.send(message("a")).await.unwrap();
    // What is sent on is not read before the first echo has been taken.
    let sending = async {
        write.send(message("b")).await.unwrap();
        write.close().await.unwrap();
    };
    let receiving = async {
        let mut received = Vec::new();
        while let Some(message) = read.next().await {
            received.push(message.unwrap());
        }
        received
    };
    let ((), received) = tokio::join!(sending, receiving);
    let [first, second, Message::Close(_)] = &received[..] else { panic!("{}", received.len()) };
    assert!(*first == message("a") && *second == message("b"));
}
