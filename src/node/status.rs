//! The running server as the pages see it: questions go to the threads that own the answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hyper::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::http::{self, Downloads, Scope};
use super::memory::Memory;
use super::report::{
    FeedReport, Health, Info, Missing, RecorderStatus, Recording, Session, ShardHealth,
    ShardReport, Status, Summary,
};
use crate::feed::publisher::Handle;
use crate::gate::security::Security;
use crate::gate::tls::{Tls, TlsReport};
use crate::gate::{Body, Caller, Pages, Refusals};
use crate::limits::RECORDING_LIVE;
use crate::shard::command::{Command, Mailbox};
use crate::shard::course::Tape;
use crate::tape::desk::Found;
use crate::tape::library::{Library, State};
use crate::tape::recorder::Watermark;
use crate::wire::close::CloseReason;
use crate::wire::instrument::Directory;

/// A thread that does not answer within this is stuck; the page says what the others know.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the pages ask.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) info: Arc<Info>,
    pub(super) directory: Arc<Directory>,
    pub(super) shards: Vec<Mailbox>,
    pub(super) publisher: Handle,
    pub(super) refusals: Arc<Refusals>,
    pub(super) security: Arc<Security>,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) unready: Arc<AtomicBool>,
    pub(super) memory: Arc<Memory>,
    pub(super) recorder: Option<Arc<Watermark>>,
    pub(super) tape: Option<Tape>,
    pub(super) library: Option<Arc<Library>>,
    pub(super) downloads: Arc<Downloads>,
    /// Which pages everybody gets.
    pub(super) scope: Scope,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Running {
    /// What the server itself has recorded so far; none where it doesn't record, nothing has been
    /// recorded yet, or the disk does not answer.
    async fn live(&self) -> Option<Summary> {
        let tape = self.tape.as_ref()?;
        let (reply, found) = oneshot::channel();
        // A full queue drops the question, and with it the reply: the wait ends at once.
        let _ = tape.desk.open(&tape.folder, Box::new(move |found| drop(reply.send(found))));
        match timeout(PATIENCE, found).await {
            Ok(Ok(Found::Tape(contents))) => Some(contents.summary()),
            _ => None,
        }
    }

    /// Asks every shard that is not stuck, and returns the answers of those that gave one.
    async fn ask_all<T>(&self, question: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<T> {
        let asked: Vec<_> = self.awake().map(|shard| ask(shard, &question)).collect();
        let mut answers = Vec::with_capacity(asked.len());
        for (shard, answer) in asked.into_iter().enumerate() {
            match timeout(PATIENCE, answer).await {
                Ok(Ok(answer)) => answers.push(answer),
                _ => tracing::warn!(shard, "a shard does not answer"),
            }
        }
        answers
    }

    fn awake(&self) -> impl Iterator<Item = &Mailbox> {
        self.shards.iter().filter(|shard| !shard.is_stuck())
    }
}

impl Running {
    /// Tells a session to go; false where there is none.
    pub(super) async fn disconnect(&self, session: u64) -> bool {
        let reason = CloseReason::Disconnected;
        let found = self.ask_all(|reply| Command::Disconnect { session, reason, reply }).await;
        found.contains(&true)
    }
}

fn ask<T>(
    shard: &Mailbox,
    question: impl Fn(oneshot::Sender<T>) -> Command,
) -> oneshot::Receiver<T> {
    let (reply, answer) = oneshot::channel();
    // A full queue drops the question, and with it the reply: the wait ends at once.
    let _ = shard.send(question(reply));
    answer
}

impl Status for Running {
    fn info(&self) -> &Info {
        &self.info
    }

    fn directory(&self) -> &Directory {
        &self.directory
    }

    fn readiness(&self) -> Result<(), String> {
        if self.draining.load(Relaxed) {
            return Err("draining".to_owned());
        }
        if self.awake().next().is_none() {
            return Err("every shard is stuck".to_owned());
        }
        if self.memory.status().refusing {
            return Err("memory is short: no new clients".to_owned());
        }
        match self.unready.load(Relaxed) {
            true => Err("the feed has stalled, ended or failed".to_owned()),
            false => Ok(()),
        }
    }

    fn health(&self) -> Health {
        let shards = self.shards.iter().map(|shard| ShardHealth {
            restarts: shard.restarts(),
            stalls: shard.stalls(),
            stuck: shard.is_stuck(),
        });
        Health { shards: shards.collect(), memory: self.memory.status() }
    }

    fn recorder(&self) -> Option<RecorderStatus> {
        self.recorder.as_ref().map(|watermark| watermark.status())
    }

    async fn recordings(&self) -> Vec<Recording> {
        let mut all = Vec::new();
        if let Some(summary) = self.live().await {
            let (name, state, reason) = (RECORDING_LIVE.to_owned(), "ready", None);
            all.push(Recording { name, state, reason, summary });
        }
        let others = self.library.as_ref().map(|library| library.all()).unwrap_or_default();
        all.extend(others.into_iter().map(|(name, entry)| match entry.state {
            State::Ready { summary, damage, .. } => {
                Recording { name, state: "ready", reason: damage, summary }
            }
            State::Preparing => {
                let summary = Summary::default();
                Recording { name, state: "preparing", reason: None, summary }
            }
            State::Refused(reason) => {
                let (reason, summary) = (Some(reason), Summary::default());
                Recording { name, state: "refused", reason, summary }
            }
        }));
        all
    }

    fn recording(&self, name: &str) -> Result<PathBuf, Missing> {
        if name == RECORDING_LIVE {
            let tape = self.tape.as_ref().ok_or(Missing::Absent)?;
            return Ok(tape.folder.to_path_buf());
        }
        let entry = self.library.as_ref().and_then(|library| library.get(name));
        let entry = entry.ok_or(Missing::Absent)?;
        match entry.state {
            State::Ready { .. } => Ok(entry.path),
            State::Preparing => {
                let words = format!("recording {name:?} is still being read: try again soon");
                Err(Missing::Unready(words))
            }
            State::Refused(why) => {
                Err(Missing::Unready(format!("recording {name:?} can't be read: {why}")))
            }
        }
    }

    fn downloads(&self) -> &Arc<Downloads> {
        &self.downloads
    }

    fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.refusals.counts()
    }

    fn security(&self) -> Vec<(&'static str, u64)> {
        self.security.counts()
    }

    fn tls(&self) -> Option<TlsReport> {
        self.tls.as_ref().map(|tls| tls.report())
    }

    async fn shards(&self) -> Vec<ShardReport> {
        self.ask_all(Command::Report).await
    }

    async fn feed(&self) -> FeedReport {
        match timeout(PATIENCE, self.publisher.report()).await {
            Ok(Ok(report)) => report,
            _ => {
                FeedReport { state: "failed: it does not answer".to_owned(), ..Default::default() }
            }
        }
    }

    async fn sessions(&self, after: u64, limit: usize) -> Vec<Session> {
        let lists = self.ask_all(|reply| Command::Sessions { after, limit, reply }).await;
        let mut sessions: Vec<Session> = lists.into_iter().flatten().collect();
        sessions.sort_unstable_by_key(|session| session.id);
        sessions.truncate(limit);
        sessions
    }

    async fn last(&self, instruments: Vec<u32>, schemas: u32) -> Vec<Vec<u8>> {
        let Some(shard) = self.awake().next() else { return Vec::new() };
        let question = |reply| Command::Last { instruments: instruments.clone(), schemas, reply };
        timeout(PATIENCE, ask(shard, question)).await.ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl Pages for Running {
    async fn answer(&self, request: Request<()>, _: &Caller) -> Response<Body> {
        http::answer(&request, self, self.scope).await
    }
}
