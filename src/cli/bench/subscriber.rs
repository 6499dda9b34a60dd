//! One subscriber: connects, subscribes, measures, has the server's counts at the end, leaves.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use super::collector::Collector;
use super::ledger::Ledger;
use super::plan::Plan;
use super::stamp::{JsonStamp, Stamp};
use super::worker::{Event, Phase};
use crate::cli::client::batch::{Batch, CATCH_UP, Head, Malformed, REPLAY, SNAPSHOT};
use crate::cli::client::frame::{BINARY, Frame};
use crate::cli::client::message::{Answer, Counts, Message, Subscribed, SubscriptionCounts};
use crate::cli::client::stream::{Consumer, End, ReadBuffer, Stream};
use crate::cli::client::target::Target;
use crate::cli::client::{ConnectError, Encoding, http, json, request};
use crate::clock::{UnixNanos, unix_now};

/// Batches whose records were published long before they were sent.
const OLD: u8 = SNAPSHOT | CATCH_UP | REPLAY;

/// What all subscribers have in common.
pub(crate) struct Task {
    pub(crate) target: Target,
    pub(crate) encoding: Encoding,
    pub(crate) plan: Plan,
    pub(crate) check_sequence: bool,
}

/// What the subscribers of one thread share.
pub(crate) struct Shared {
    pub(crate) task: Arc<Task>,
    pub(crate) buffer: ReadBuffer,
    pub(crate) collector: RefCell<Collector>,
    /// Bounds the handshakes that are under way at once.
    pub(crate) dialing: Semaphore,
    pub(crate) events: Sender<Event>,
}

/// Why a subscriber is gone.
#[derive(Debug)]
pub(crate) enum Gone {
    /// It was told to leave.
    Left,
    /// It never got as far as subscribing.
    Failed(String),
    /// It was subscribed, and lost its connection.
    Lost(String),
}

/// Runs one subscriber to its end.
pub(crate) async fn run(number: usize, shared: Rc<Shared>, phase: watch::Receiver<Phase>) {
    let mut subscriber = Subscriber::new(shared.clone());
    let gone = subscriber.live(number, phase).await;
    let checks = Box::new(subscriber.ledger.into_checks());
    // Where nobody listens any more, the run has been given up.
    let _ = shared.events.send(Event::Gone { gone, checks });
}

struct Subscriber {
    shared: Rc<Shared>,
    ledger: Ledger,
    now: UnixNanos,
    measured: bool,
    welcomed: bool,
    /// Subscribe requests that were granted.
    granted: usize,
    rejected: Vec<String>,
    /// The answer to the request for the final counts has come.
    counted: bool,
    /// The server's words before it closes.
    closing: Option<String>,
}

impl Subscriber {
    fn new(shared: Rc<Shared>) -> Self {
        let ledger = Ledger::new(shared.task.check_sequence);
        Self {
            shared,
            ledger,
            now: 0,
            measured: false,
            welcomed: false,
            granted: 0,
            rejected: Vec::new(),
            counted: false,
            closing: None,
        }
    }

    async fn live(&mut self, number: usize, mut phase: watch::Receiver<Phase>) -> Gone {
        let shared = self.shared.clone();
        let mut stream = match self.connect().await {
            Ok(stream) => stream,
            Err(error) => return Gone::Failed(error.to_string()),
        };
        let subscribed = self.subscribe(number, &mut stream, &mut phase).await;
        if let Err(end) = subscribed {
            return Gone::Failed(self.told(&end));
        }
        let ended = tokio::select! {
            biased;
            ended = stream.drive(&shared.buffer, self, |_| false) => ended,
            over = phase.wait_for(|phase| matches!(phase, Phase::Finish)) => {
                over.map(drop).map_err(given_up)
            }
        };
        let ended = match ended {
            Ok(()) => self.settle(&mut stream).await,
            lost => lost,
        };
        match ended {
            Ok(()) => Gone::Left,
            Err(end) => Gone::Lost(self.told(&end)),
        }
    }

    async fn connect(&mut self) -> Result<Stream, ConnectError> {
        let shared = self.shared.clone();
        let _turn = shared.dialing.acquire().await;
        let target = &shared.task.target;
        let mut stream = Stream::new(http::upgrade(target, shared.task.encoding).await?);
        let welcome = stream.drive_in_time(&shared.buffer, self, |s| s.welcomed).await;
        welcome.map_err(|end| ConnectError::Ended { address: target.authority(), end })?;
        let _ = shared.events.send(Event::Connected);
        Ok(stream)
    }

    /// Waits until all are connected, then subscribes.
    async fn subscribe(
        &mut self,
        number: usize,
        stream: &mut Stream,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), End> {
        let shared = self.shared.clone();
        tokio::select! {
            biased;
            ended = stream.drive(&shared.buffer, self, |_| false) => return ended,
            all = phase.wait_for(|phase| !matches!(phase, Phase::Connect)) => {
                all.map(drop).map_err(given_up)?;
            }
        }
        let requests = shared.task.plan.requests(number);
        requests.iter().for_each(|text| stream.send_text(text));
        let all = requests.len();
        stream.drive_in_time(&shared.buffer, self, |s| s.granted == all).await?;
        let rejected = std::mem::take(&mut self.rejected);
        let _ = shared.events.send(Event::Subscribed { rejected });
        Ok(())
    }

    /// Compares the last counts, and leaves.
    async fn settle(&mut self, stream: &mut Stream) -> Result<(), End> {
        let shared = self.shared.clone();
        stream.send_text(&request::subscriptions(self.granted as u64 + 1));
        stream.drive_in_time(&shared.buffer, self, |s| s.counted).await?;
        stream.close(&shared.buffer, self).await;
        Ok(())
    }

    /// How it ended, in the server's words where there were some.
    fn told(&self, end: &End) -> String {
        match &self.closing {
            Some(closing) => format!("{end}; the server said: {closing}"),
            None => end.to_string(),
        }
    }

    fn data(
        &mut self,
        head: &Head,
        stamps: impl Iterator<Item = Result<Stamp, Malformed>>,
    ) -> Result<(), Malformed> {
        self.ledger.head(head);
        let mut collector = self.shared.collector.borrow_mut();
        let live = self.measured && head.flags & OLD == 0;
        let mut measure = live.then(|| collector.frame(head.ts_send, self.now));
        for stamp in stamps {
            let stamp = stamp?;
            self.ledger.record(head.flags, stamp);
            if let Some(measure) = &mut measure
                && stamp.is_counted()
            {
                measure.record(stamp.ts_event, stamp.ts_out);
            }
        }
        if let Some(measure) = measure {
            measure.end();
        }
        Ok(())
    }

    fn message(&mut self, text: &[u8]) -> Result<(), End> {
        match Message::parse(text).map_err(End::Message)? {
            Message::Welcome(_) => self.welcomed = true,
            Message::Answer(answer) => self.answer(answer)?,
            Message::Heartbeat(counts) => drop(self.ledger.compare(&counts)),
            Message::Gap(gap) => self.ledger.gap(&gap),
            Message::Lagging(_) => self.ledger.lagging(),
            Message::Closing(closing) => {
                self.closing = Some(closing.to_string());
            }
            Message::Error(failure) => return Err(End::Refused(failure.to_string())),
            Message::Status(_) | Message::Other => {}
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) -> Result<(), End> {
        if answer.method.as_deref() == Some("subscriptions") {
            let counts: Counts = final_counts(answer).map_err(End::Message)?;
            if self.ledger.compare(&counts) {
                self.ledger.verified();
            }
            self.counted = true;
            return Ok(());
        }
        let subscribed: Subscribed = answer.result().map_err(End::Refused)?;
        self.granted += 1;
        self.rejected.extend(subscribed.rejected.into_iter().map(|r| r.to_string()));
        Ok(())
    }
}

fn given_up(_: watch::error::RecvError) -> End {
    End::Refused("the run was given up".to_owned())
}

/// The counts in an answer to `subscriptions`.
fn final_counts(answer: Answer) -> Result<Counts, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Whole(Counts),
        List(Vec<SubscriptionCounts>),
    }
    Ok(match answer.result()? {
        Either::Whole(counts) => counts,
        Either::List(subscriptions) => Counts { subscriptions, ..Counts::default() },
    })
}

impl Consumer for Subscriber {
    fn arrived(&mut self, bytes: usize) {
        self.now = unix_now();
        self.measured = self.shared.collector.borrow_mut().read(self.now, bytes);
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), End> {
        if frame.opcode == BINARY {
            let batch = Batch::open(frame.payload)?;
            let head = batch.head;
            return Ok(self.data(&head, batch.map(|r| r.map(Stamp::of)))?);
        }
        if json::is_data(frame.payload) {
            let (head, records) = json::read::<JsonStamp>(frame.payload)?;
            return Ok(self.data(&head, records.into_iter().map(|r| Ok(r.into())))?);
        }
        self.message(frame.payload)
    }
}
