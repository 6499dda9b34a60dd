//! socket: what a client sends, judged; what it is sent, written.

mod head;
pub mod read;
