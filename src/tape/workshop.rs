//! The workshop: one thread that derives, for replays, what their recordings do not hold.
//!
//! Beside the desk, so that nobody who only reads waits for a book to be built. It works for those
//! who wait in turns, by a bounded piece each; who is sent to another time waits until it has gone
//! through the recording up to there. All books together have a bounded room.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::TapeError;
use super::derivation::Derivation;
pub use super::derivation::{Chosen, Plan};
use super::desk::{Found, Full, Reply};
use crate::clock::UnixNanos;
use crate::limits::{BOOK_ORDERS_MAX, DERIVATIONS_MAX, DERIVED_IDLE, DESK_QUEUE};

/// A place for one derivation, of who reads it: there are so many of them.
pub struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whose turn it is, and with what.
struct Question {
    plan: Arc<Plan>,
    /// From which index time on; none: from where it is.
    from: Option<UnixNanos>,
    reply: Reply,
}

/// Where to ask. The thread ends when all of these are gone.
#[derive(Clone)]
pub struct Workshop {
    questions: Sender<Question>,
    taken: Arc<AtomicUsize>,
}

impl Workshop {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start() -> io::Result<Self> {
        let (sender, questions) = bounded(DESK_QUEUE);
        let maker = Maker { works: Vec::new(), waiting: VecDeque::new() };
        thread::Builder::new().name("workshop".to_owned()).spawn(move || maker.run(&questions))?;
        Ok(Self { questions: sender, taken: Arc::default() })
    }

    /// A place for a derivation; none where all are taken.
    pub fn seat(&self) -> Option<Seat> {
        let free = |taken: usize| (taken < DERIVATIONS_MAX).then_some(taken + 1);
        let took = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        took.is_ok().then(|| Seat(self.taken.clone()))
    }

    /// Asks for what comes from an index time on, or where none is given after what was handed out
    /// last. Who asks anew has no answer to what was asked before.
    ///
    /// # Errors
    /// The queue is full: ask again later.
    pub fn ask(&self, plan: &Arc<Plan>, from: Option<UnixNanos>, reply: Reply) -> Result<(), Full> {
        let question = Question { plan: plan.clone(), from, reply };
        self.questions.try_send(question).map_err(|_| Full)
    }
}

/// A derivation, as long as somebody wants it.
struct Work {
    plan: Weak<Plan>,
    from: UnixNanos,
    derivation: Option<Derivation>,
}

impl Work {
    fn is_of(&self, plan: &Arc<Plan>) -> bool {
        std::ptr::eq(self.plan.as_ptr(), Arc::as_ptr(plan))
    }
}

/// Who works there.
struct Maker {
    works: Vec<Work>,
    waiting: VecDeque<Question>,
}

impl Maker {
    fn run(mut self, questions: &Receiver<Question>) {
        loop {
            let asked = match self.waiting.is_empty() {
                true => questions.recv_timeout(DERIVED_IDLE),
                false => questions.try_recv().map_err(|_| RecvTimeoutError::Timeout),
            };
            match asked {
                Ok(question) => self.take(question),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.forget(),
            }
            self.turn();
        }
    }

    /// Forgets what nobody wants any more.
    fn forget(&mut self) {
        self.waiting.retain(|question| Arc::strong_count(&question.plan) > 1);
        self.works.retain(|work| work.plan.strong_count() > 0);
    }

    fn take(&mut self, question: Question) {
        self.forget();
        self.waiting.retain(|other| !Arc::ptr_eq(&other.plan, &question.plan));
        let at = self.works.iter().position(|work| work.is_of(&question.plan));
        let at = at.unwrap_or_else(|| {
            let plan = Arc::downgrade(&question.plan);
            self.works.push(Work { plan, from: 0, derivation: None });
            self.works.len() - 1
        });
        let work = &mut self.works[at];
        if let Some(from) = question.from {
            work.from = from;
            // What lies behind it begins again.
            work.derivation.take_if(|now| !now.may_go_on_to(from));
        }
        self.waiting.push_back(question);
    }

    /// Works for who waits longest.
    fn turn(&mut self) {
        let Some(question) = self.waiting.pop_front() else { return };
        // Whoever asks waits for an answer: a fault is one as well.
        let found = catch_unwind(AssertUnwindSafe(|| self.advance(&question.plan)));
        let found = match found {
            Ok(Ok(None)) => return self.waiting.push_back(question),
            Ok(Ok(Some(found))) => found,
            Ok(Err(error)) => Found::Failed(error.to_string()),
            Err(_) => Found::Failed("a fault of the server while it derived".to_owned()),
        };
        if !matches!(found, Found::Derived { .. }) {
            self.works.retain(|work| !work.is_of(&question.plan));
        }
        (question.reply)(found);
    }

    /// Gets a derivation on by a piece; none where nothing has come of it yet.
    fn advance(&mut self, plan: &Arc<Plan>) -> Result<Option<Found>, TapeError> {
        let works = &mut self.works;
        let taken: usize = works.iter().flat_map(|work| &work.derivation).map(|d| d.orders()).sum();
        let Some(work) = works.iter_mut().find(|work| work.is_of(plan)) else { return Ok(None) };
        let derivation = match &mut work.derivation {
            Some(derivation) => derivation,
            none => none.insert(Derivation::begin(plan)?),
        };
        let records = derivation.advance(plan, work.from, BOOK_ORDERS_MAX.saturating_sub(taken))?;
        let (faults, over) = (derivation.faults(), derivation.is_over());
        if faults.refused > 0 {
            let words = format!("{BOOK_ORDERS_MAX} orders rest in the books of replays: no room");
            return Ok(Some(Found::Unready(words)));
        }
        if over && faults.total() > 0 {
            let tape = plan.tape.display();
            tracing::info!(%tape, ?faults, "orders that books were derived from are not sound");
        }
        Ok((over || !records.is_empty()).then_some(Found::Derived { records, over }))
    }
}
