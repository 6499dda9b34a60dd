//! A broadtape server: subscribes, measures, and has the server's counts at the end.

use std::sync::Arc;

use serde::Deserialize;

use super::checks::Checks;
use super::ledger::Ledger;
use super::stamp::{JsonStamp, Stamp};
use super::{Dialogue, Scope, Step};
use crate::cli::bench::task::Task;
use crate::cli::client::batch::{Batch, CATCH_UP, Head, Malformed, REPLAY, SNAPSHOT};
use crate::cli::client::frame::{self, BINARY, CLOSE, Frame, PING, PONG, TEXT};
use crate::cli::client::message::{Answer, Counts, Message, Subscribed, SubscriptionCounts};
use crate::cli::client::stream::{End, closed};
use crate::cli::client::{json, request};

/// Batches whose records were published long before they were sent.
const OLD: u8 = SNAPSHOT | CATCH_UP | REPLAY;

/// One subscriber.
pub(crate) struct Subscriber {
    task: Arc<Task>,
    number: usize,
    ledger: Ledger,
    /// Subscribe requests that were sent, and that were granted.
    asked: usize,
    granted: usize,
    rejected: Vec<String>,
    /// The server's words before it closes.
    closing: Option<String>,
}

impl Subscriber {
    pub(crate) fn new(task: Arc<Task>, number: usize) -> Self {
        let ledger = Ledger::new(task.steps);
        let (asked, granted, rejected, closing) = (0, 0, Vec::new(), None);
        Self { task, number, ledger, asked, granted, rejected, closing }
    }

    fn frame(&mut self, frame: Frame<'_>, scope: &mut Scope<'_>) -> Result<(), End> {
        match frame.opcode {
            BINARY => {
                let batch = Batch::open(frame.payload)?;
                let head = batch.head;
                Ok(self.data(&head, batch.map(|r| r.map(Stamp::of)), scope)?)
            }
            TEXT if json::is_data(frame.payload) => {
                let (head, records) = json::read::<JsonStamp>(frame.payload)?;
                Ok(self.data(&head, records.into_iter().map(|r| Ok(r.into())), scope)?)
            }
            TEXT => self.message(frame.payload, scope),
            PING => {
                scope.send(PONG, frame.payload);
                Ok(())
            }
            CLOSE => Err(closed(frame.payload)),
            _ => Ok(()),
        }
    }

    fn data(
        &mut self,
        head: &Head,
        stamps: impl Iterator<Item = Result<Stamp, Malformed>>,
        scope: &mut Scope<'_>,
    ) -> Result<(), Malformed> {
        self.ledger.head(head);
        let live = scope.measured && head.flags & OLD == 0;
        let now = scope.now;
        let mut measure = live.then(|| scope.collector.measure(Some(head.ts_send), now));
        if let Some(measure) = &mut measure {
            measure.frame();
        }
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

    fn message(&mut self, text: &[u8], scope: &mut Scope<'_>) -> Result<(), End> {
        match Message::parse(text).map_err(End::Message)? {
            Message::Welcome(_) if *scope.step == Step::Greeting => *scope.step = Step::Ready,
            Message::Answer(answer) => self.answer(answer, scope)?,
            Message::Heartbeat(counts) => drop(self.ledger.compare(&counts)),
            Message::Gap(gap) => self.ledger.gap(&gap),
            Message::Lagging(_) => self.ledger.lagging(),
            Message::Closing(closing) => self.closing = Some(closing.to_string()),
            Message::Error(failure) => return Err(End::Refused(failure.to_string())),
            Message::Welcome(_) | Message::Status(_) | Message::Other => {}
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer, scope: &mut Scope<'_>) -> Result<(), End> {
        if answer.method.as_deref() == Some("subscriptions") {
            let counts: Counts = final_counts(answer).map_err(End::Message)?;
            if self.ledger.compare(&counts) {
                self.ledger.verified();
            }
            if *scope.step == Step::Settling {
                *scope.step = Step::Settled;
            }
            return Ok(());
        }
        let subscribed: Subscribed = answer.result().map_err(End::Refused)?;
        self.granted += 1;
        self.rejected.extend(subscribed.rejected.into_iter().map(|r| r.to_string()));
        if self.granted == self.asked && *scope.step == Step::Asking {
            *scope.step = Step::Subscribed;
        }
        Ok(())
    }
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

impl Dialogue for Subscriber {
    fn opened(&mut self, scope: &mut Scope<'_>) {
        *scope.step = Step::Greeting;
    }

    fn subscribe(&mut self, scope: &mut Scope<'_>) {
        let requests = self.task.plan.requests(self.number);
        self.asked = requests.len();
        requests.iter().for_each(|text| scope.send(TEXT, text.as_bytes()));
        *scope.step = Step::Asking;
    }

    #[inline]
    fn take(&mut self, bytes: &[u8], scope: &mut Scope<'_>) -> Result<usize, End> {
        let mut at = 0;
        while let Some((frame, length)) = frame::next(&bytes[at..])? {
            at += length;
            self.frame(frame, scope)?;
        }
        Ok(at)
    }

    /// The server counts for each subscription what it has sent.
    fn settle(&mut self, scope: &mut Scope<'_>) {
        scope.send(TEXT, request::subscriptions(self.granted as u64 + 1).as_bytes());
        *scope.step = Step::Settling;
    }

    fn words(&self) -> Option<&str> {
        self.closing.as_deref()
    }

    fn rejected(&mut self) -> Vec<String> {
        std::mem::take(&mut self.rejected)
    }

    fn checks(&self) -> Checks {
        self.ledger.checks()
    }
}
