//! A server within the test's own process, whose parts fail when they are told to.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use broadtape::feed::{Feed, Metronome};
use broadtape::node::config::Config;
use broadtape::node::config::settings::Command;
use broadtape::node::server::{self, Addresses, Program, ServerError};
use broadtape::socket::write::{Engine, Readiness, Write};
use serde_json::Value;
use tokio::sync::Notify;
use tracing::Subscriber;
use tracing::subscriber::NoSubscriber;

use crate::raw::Raw;
use crate::server::{PATIENCE, Server};

/// A shard that is about to send this panics.
pub(crate) const POISON: &str = "POISON";
/// A shard that is about to send this hangs until it is let go.
pub(crate) const GLUE: &str = "GLUE";

/// A server in this process.
pub(crate) struct Embedded {
    pub(crate) server: Server,
    pub(crate) glue: Arc<Glue>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Embedded {
    /// A metronome at 1,000 records a second with the settings `more`, on engines that fail.
    pub(crate) fn start(more: &[(&'static str, &str)]) -> Self {
        Self::with(vec![Box::new(Metronome::new(1_000, 20))], more)
    }

    /// The same with other feeds.
    pub(crate) fn with(feeds: Vec<Box<dyn Feed>>, more: &[(&'static str, &str)]) -> Self {
        Self::launch(feeds, more, NoSubscriber::new())
    }

    /// As [`Embedded::start`], with what its control plane logs.
    pub(crate) fn logging(log: &Log, more: &[(&'static str, &str)]) -> Self {
        let log = log.clone();
        let json = tracing_subscriber::fmt().json().flatten_event(true);
        let json = json.with_writer(move || log.clone());
        Self::launch(vec![Box::new(Metronome::new(1_000, 20))], more, json.finish())
    }

    fn launch(
        feeds: Vec<Box<dyn Feed>>,
        more: &[(&'static str, &str)],
        log: impl Subscriber + Send + Sync,
    ) -> Self {
        let usual = [("listen", "127.0.0.1:0"), ("drain", "1s"), ("hosts", "test,x")];
        let usual = usual.iter().filter(|(key, _)| more.iter().all(|(other, _)| other != key));
        let mut flags = Vec::new();
        let values = |text: &str| text.split(',').map(str::to_owned).collect();
        flags.extend(usual.chain(more).map(|(key, text)| (*key, values(text))));
        let options = Config::load(Command::Serve, flags, [], None).unwrap().options;
        let (glue, stop) = (Arc::new(Glue::default()), Arc::new(Notify::new()));
        let (made, told) = (glue.clone(), stop.clone());
        let engines: server::Engines = Arc::new(move |_| Box::new(Faulty(made.clone())));
        let program =
            Program { feeds, derive: 0, elastic: false, exit: false, engines: Some(engines) };
        let (send, listening) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let signals = || Ok(async move || told.notified().await);
            tracing::subscriber::with_default(log, || {
                server::run(&options, program, signals, |at: &Addresses| {
                    send.send(at.public[0]).unwrap()
                })
            })
        });
        let address = listening.recv_timeout(PATIENCE).unwrap().to_string();
        Self { server: Server::within(address), glue, stop, thread: Some(thread) }
    }

    /// Tells it to end.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> Result<(), ServerError> {
        self.thread.take().unwrap().join().unwrap()
    }

    /// The shard that serves each session, by session.
    pub(crate) fn shards(&self) -> Vec<(u64, u64)> {
        let sessions = self.server.sessions();
        let number =
            |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap();
        sessions.iter().map(|s| (number(&s["session"]), number(&s["shard"]))).collect()
    }

    /// A new client, and the shard that it is served by.
    pub(crate) fn client(&self) -> (Raw, u64) {
        let mut raw = Raw::open(&self.server, "dbn");
        let welcome = raw.until(|message| message["type"] == "welcome");
        let session: u64 = welcome["session"].as_str().unwrap().parse().unwrap();
        let shard = self.shards().into_iter().find(|(id, _)| *id == session).unwrap().1;
        (raw, shard)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.glue.dissolve();
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a server has logged, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Does it say so anywhere?
    pub(crate) fn has(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// Its lines of a target.
    pub(crate) fn lines(&self, target: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == target).collect()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Holds a thread until it is dissolved.
#[derive(Default)]
pub(crate) struct Glue {
    dissolved: Mutex<bool>,
    told: Condvar,
}

impl Glue {
    fn hold(&self) {
        let state = self.dissolved.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.told.wait_while(state, |dissolved| !*dissolved));
    }

    /// Lets go, for good.
    pub(crate) fn dissolve(&self) {
        *self.dissolved.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }
}

/// An engine that panics or hangs where it is to send what says so.
struct Faulty(Arc<Glue>);

impl Engine for Faulty {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        for write in &*writes {
            let says = |word: &str| {
                let contains =
                    |part: &&[u8]| part.windows(word.len()).any(|w| w == word.as_bytes());
                write.parts.iter().any(contains)
            };
            assert!(!says(POISON), "it was told to");
            if says(GLUE) {
                self.0.hold();
            }
        }
        Readiness.write(writes);
    }
}
