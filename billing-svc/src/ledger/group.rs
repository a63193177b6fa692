//! All or nothing: decisions that stand together or not at all.

use tokio::sync::oneshot;

use super::BillingError;
use super::books::Books;
use super::decision::{Decided, Decision, Job, Told, told};
use super::needs::Needs;
use crate::domain::{Account, StateError};

/// How each of a group ended.
pub(crate) type GroupAnswer<D> = Vec<Result<<D as Decision>::Answer, BillingError>>;

/// How one of a group was decided, and what its user has after it.
type Outcome<D> = (Result<Decided<<D as Decision>::Answer>, BillingError>, Option<Account>);

/// Writes whose caller waits for all of them.
#[derive(Debug)]
pub(crate) struct Group<D: Decision> {
    decisions: Vec<D>,
    reply: oneshot::Sender<GroupAnswer<D>>,
    /// Where they came from, so that their log lines name the request.
    span: tracing::Span,
    decided: Vec<Outcome<D>>,
}

impl<D: Decision> Group<D> {
    pub(crate) fn new(decisions: Vec<D>, reply: oneshot::Sender<GroupAnswer<D>>) -> Self {
        Self { decisions, reply, span: tracing::Span::current(), decided: Vec::new() }
    }

    /// Decides all on trial books, which become the books only if nothing was refused.
    fn try_all(&mut self, books: &mut Books<'_>) {
        let mut trial = books.clone();
        self.decided = self
            .decisions
            .iter()
            .map(|decision| {
                let decided = decision.decide(&mut trial);
                (decided, trial.find_account(decision.user()).cloned())
            })
            .collect();
        if self.decided.iter().all(|(decided, _)| decided.is_ok()) {
            *books = trial;
            return;
        }
        for (decision, (decided, after)) in self.decisions.iter().zip(&mut self.decided) {
            *after = books.find_account(decision.user()).cloned();
            match decided {
                Ok(_) => *decided = Err(BillingError::BatchRefused),
                Err(BillingError::State(StateError::HoldExpired)) => decision.keep_refusal(books),
                Err(_) => {}
            }
        }
    }
}

impl<D: Decision> Job for Group<D> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn needs(&self, needs: &mut Needs) {
        for decision in &self.decisions {
            needs.users.push(decision.user());
            decision.needs(needs);
        }
    }

    fn decide(&mut self, books: &mut Books<'_>) {
        let touched: Result<(), BillingError> =
            self.decisions.iter().try_for_each(|decision| books.touch(decision.user()));
        match touched {
            Ok(()) => self.try_all(books),
            // The books do not add up, which was logged.
            Err(_) => {
                let broken = || (Err(BillingError::Broken), None);
                self.decided = self.decisions.iter().map(|_| broken()).collect();
            }
        }
    }

    fn answer(self: Box<Self>) {
        let Self { decisions, reply, span, decided } = *self;
        let answers = decisions
            .iter()
            .zip(decided)
            .map(|(decision, (decided, after))| {
                told(decision, &decided, Told { span: &span, after: after.as_ref() });
                decided.map(Decided::into_answer)
            })
            .collect();
        // Nobody to tell: the caller asks again, and meets what was stored.
        drop(reply.send(answers));
    }

    fn fail(self: Box<Self>, error: BillingError) {
        let is_broken = matches!(error, BillingError::Broken);
        let answers = self
            .decisions
            .iter()
            .map(|_| {
                super::decision::count(D::NAME, error.outcome());
                Err(if is_broken { BillingError::Broken } else { BillingError::Unavailable })
            })
            .collect();
        drop(self.reply.send(answers));
    }
}
