//! One write as it waits, is decided, logged and answered.

use std::fmt::{Debug, Formatter};

use tokio::sync::oneshot;

use super::BillingError;
use super::books::Books;
use super::needs::Needs;
use crate::domain::{Account, Operation, Subject, TopUp, UserId};

/// A write: what it has to see, and what it decides. It may be decided more than once (when a
/// batch is tried again), each time on fresh books, and only the last time counts.
///
/// A decision that refuses changes nothing, but for what the refusal itself says.
pub(crate) trait Decision: Debug + Send + 'static {
    /// What the caller is answered.
    type Answer: Debug + Send + 'static;

    /// The verb in metrics and in the log line of a refusal.
    const NAME: &'static str;
    /// The log line when it is done.
    const DONE: &'static str;
    /// Whether it is a decision about somebody's money, which has its line in the log.
    const IS_LOGGED: bool = true;

    fn user(&self) -> UserId;

    /// What it is about, as far as the caller names it.
    fn subject(&self) -> Subject;

    /// Names what has to be loaded.
    fn needs(&self, needs: &mut Needs);

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Self::Answer>, BillingError>;

    /// What the log says of an answer.
    fn line(answer: &Self::Answer) -> Line;

    /// Stores what a refusal with `HOLD_EXPIRED` means, where all that was decided with it is
    /// thrown away.
    fn keep_refusal(&self, _books: &mut Books<'_>) {}
}

/// An answer, and whether it was there before.
#[derive(Debug)]
pub(crate) enum Decided<A> {
    Done(A),
    Repeat(A),
}

impl<A> Decided<A> {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Repeat(_) => "repeat",
        }
    }

    pub(crate) fn into_answer(self) -> A {
        match self {
            Self::Done(answer) | Self::Repeat(answer) => answer,
        }
    }

    fn answer(&self) -> &A {
        match self {
            Self::Done(answer) | Self::Repeat(answer) => answer,
        }
    }
}

/// What a log line says beside the user and what is left.
#[derive(Debug)]
pub(crate) struct Line {
    subject: Subject,
    amount_kopecks: Option<i64>,
    source: Option<&'static str>,
}

impl Line {
    pub(crate) fn of_account() -> Self {
        Self { subject: Subject::Account, amount_kopecks: None, source: None }
    }

    pub(crate) fn of_amount(kopecks: i64) -> Self {
        Self { subject: Subject::Account, amount_kopecks: Some(kopecks), source: None }
    }

    pub(crate) fn of_operation(operation: &Operation) -> Self {
        Self {
            subject: Subject::Operation(operation.id),
            amount_kopecks: Some(operation.charged_kopecks()),
            source: Some(operation.source.as_str()),
        }
    }

    pub(crate) fn of_top_up(top_up: &TopUp) -> Self {
        Self {
            subject: Subject::TopUp(top_up.id),
            amount_kopecks: Some(top_up.credited.get()),
            source: None,
        }
    }

    /// The same line over another amount than the thing's own.
    pub(crate) fn over(self, kopecks: i64) -> Self {
        Self { amount_kopecks: Some(kopecks), ..self }
    }

    /// Writes the line: one for each decision, found by `grep billing`.
    pub(crate) fn write(&self, what: &str, outcome: &str, user: UserId, after: Option<&Account>) {
        tracing::info!(
            user.id = %user,
            operation.id = self.subject.operation().map(display),
            top_up.id = self.subject.top_up().map(display),
            amount_kopecks = self.amount_kopecks,
            source = self.source,
            balance_kopecks = after.map(|account| account.balance.get()),
            free_operations = after.map(|account| account.free_operations),
            outcome,
            "billing: {what}"
        );
    }
}

/// Counts an outcome.
pub(crate) fn count(operation: &'static str, outcome: impl Into<metrics::SharedString>) {
    metrics::counter!(
        "billing_operations_total",
        "operation" => operation,
        "outcome" => outcome.into()
    )
    .increment(1);
}

/// A write of any kind, as the writer sees it.
pub(crate) trait Job: Debug + Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    fn needs(&self, needs: &mut Needs);

    fn decide(&mut self, books: &mut Books<'_>);

    /// Tells what was decided, after it was stored.
    fn answer(self: Box<Self>);

    /// Tells that nothing is known to be stored.
    fn fail(self: Box<Self>, error: BillingError);
}

/// A write whose caller waits.
pub(crate) struct Pending<D: Decision> {
    decision: D,
    reply: oneshot::Sender<Result<D::Answer, BillingError>>,
    /// Where it came from, so that its log line names the request.
    span: tracing::Span,
    decided: Option<Result<Decided<D::Answer>, BillingError>>,
    after: Option<Account>,
}

impl<D: Decision> Pending<D> {
    pub(crate) fn new(
        decision: D,
        reply: oneshot::Sender<Result<D::Answer, BillingError>>,
    ) -> Self {
        let span = tracing::Span::current();
        Self { decision, reply, span, decided: None, after: None }
    }
}

/// Where a decision was asked for, and what the user has after it.
#[derive(Debug)]
pub(crate) struct Told<'t> {
    pub(crate) span: &'t tracing::Span,
    pub(crate) after: Option<&'t Account>,
}

/// Counts and logs what was decided, once it is stored.
pub(crate) fn told<D: Decision>(
    decision: &D,
    decided: &Result<Decided<D::Answer>, BillingError>,
    Told { span, after }: Told<'_>,
) {
    match decided {
        Ok(decided) => count(D::NAME, decided.outcome()),
        Err(refusal) => count(D::NAME, refusal.outcome()),
    }
    if !D::IS_LOGGED {
        return;
    }
    let _entered = span.enter();
    let user = decision.user();
    match decided {
        Ok(decided) => D::line(decided.answer()).write(D::DONE, decided.outcome(), user, after),
        Err(refusal) => {
            let subject = decision.subject();
            let line = Line { subject, amount_kopecks: None, source: None };
            let what = format!("{} refused", D::NAME.replace('_', " "));
            line.write(&what, &refusal.outcome(), user, after);
        }
    }
}

impl<D: Decision> Debug for Pending<D> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.decision.fmt(f)
    }
}

impl<D: Decision> Job for Pending<D> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn needs(&self, needs: &mut Needs) {
        needs.users.push(self.decision.user());
        self.decision.needs(needs);
    }

    fn decide(&mut self, books: &mut Books<'_>) {
        let user = self.decision.user();
        let decided = books.touch(user).and_then(|()| self.decision.decide(books));
        self.after = books.find_account(user).cloned();
        self.decided = Some(decided);
    }

    fn answer(self: Box<Self>) {
        let mut job = *self;
        let decided = job.decided.take().unwrap_or(Err(BillingError::Broken));
        told(&job.decision, &decided, Told { span: &job.span, after: job.after.as_ref() });
        // Nobody to tell: the caller asks again, and meets what was stored.
        drop(job.reply.send(decided.map(Decided::into_answer)));
    }

    fn fail(self: Box<Self>, error: BillingError) {
        count(D::NAME, error.outcome());
        drop(self.reply.send(Err(error)));
    }
}
