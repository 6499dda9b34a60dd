//! A thread that judges what clients say who they are by on a live connection: a signature costs a
//! shard more than a turn may take.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Sender, bounded};

use super::Authority;
use crate::limits::AUTH_QUEUE;
use crate::shard::access::{Badge, Doorkeeper, Full, Question, Verdict};
use crate::wire::grant::Standing;

/// Where shards ask. The thread ends when all of these are gone.
struct Clerk {
    questions: Sender<Question>,
    authority: Arc<Authority>,
}

impl Authority {
    /// Starts the thread that answers the shards.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn doorkeeper(self: &Arc<Self>) -> io::Result<Arc<dyn Doorkeeper>> {
        let (sender, questions) = bounded::<Question>(AUTH_QUEUE);
        let authority = self.clone();
        thread::Builder::new().name("auth".to_owned()).spawn(move || {
            while let Ok(question) = questions.recv() {
                let verdict = authority.answer(&question);
                (question.reply)(verdict);
            }
        })?;
        Ok(Arc::new(Clerk { questions: sender, authority: self.clone() }))
    }

    fn answer(&self, question: &Question) -> Verdict {
        match self.judge(&question.secret) {
            Ok(grant) if question.seated.as_ref().is_some_and(|who| *who != grant.subject) => {
                tracing::debug!(session = question.session, "auth refused: another subject");
                Verdict::Failed
            }
            // It has its seat.
            Ok(grant) if question.seated.is_some() => {
                Verdict::Granted(Badge { grant: Arc::new(grant), seat: None })
            }
            Ok(grant) => self.admit(grant),
            Err(error) => {
                tracing::debug!(session = question.session, %error, "auth refused");
                Verdict::Failed
            }
        }
    }
}

impl Doorkeeper for Clerk {
    fn ask(&self, question: Question) -> Result<(), Full> {
        self.questions.try_send(question).map_err(|_| Full)
    }

    fn patience(&self) -> Duration {
        self.authority.options.timeout
    }

    fn standing(&self) -> Arc<Standing> {
        self.authority.standing()
    }
}
