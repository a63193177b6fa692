//! Commit: the hold becomes final; a late one takes the same price from the same source again.

use super::BillingError;
use super::books::{Books, Posting};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    Account, Cause, CommitStep, EventKind, Movement, Operation, OperationId, OperationState,
    PaymentSource, Place, Refund, StateError, Subject, UserId,
};

/// What the ledger says of an operation whose late commit was refused.
const REFUSED: &str = "the hold expired and could not be taken again";

/// Commits an operation.
#[derive(Debug)]
pub struct Commit {
    pub user: UserId,
    pub operation: OperationId,
    /// What the work cost us, in millionths of a US dollar.
    pub cost_micro_usd: Option<i64>,
}

impl Decision for Commit {
    type Answer = Operation;

    const NAME: &'static str = "commit";
    const DONE: &'static str = "committed";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::Operation(self.operation)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.operations.push((self.user, self.operation));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Operation>, BillingError> {
        let operation = books.operation(self.user, self.operation)?;
        match operation.commit()? {
            CommitStep::AlreadyThere => Ok(Decided::Repeat(operation)),
            CommitStep::Finish => {
                let from = Account::hold(operation.source);
                self.finish(operation, (from, Cause::Commit), books).map(Decided::Done)
            }
            CommitStep::TakeAgain => self.take_again(operation, books).map(Decided::Done),
        }
    }

    fn line(answer: &Operation) -> Line {
        Line::of_operation(answer)
    }

    /// The caller was told that the hold has expired, which holds for ever.
    fn keep_refusal(&self, books: &mut Books<'_>) {
        if let Ok(operation) = books.operation(self.user, self.operation)
            && operation.state == OperationState::Expired
        {
            refuse(operation, books);
        }
    }
}

impl Commit {
    fn finish(
        &self,
        mut operation: Operation,
        (from, cause): (Place, Cause),
        books: &mut Books<'_>,
    ) -> Result<Operation, BillingError> {
        let posting = Posting {
            movement: Movement {
                from,
                to: Account::spent(operation.source),
                amount: operation.amount(),
            },
            cause,
            subject: Subject::Operation(operation.id),
            actor: None,
        };
        books.post(self.user, posting)?;
        operation.state = OperationState::Committed;
        operation.ended_at = Some(books.now);
        operation.cost_micro_usd = self.cost_micro_usd;
        books.put_operation(operation.clone());
        Ok(operation)
    }

    fn take_again(
        &self,
        operation: Operation,
        books: &mut Books<'_>,
    ) -> Result<Operation, BillingError> {
        let account = books.account(self.user)?;
        let is_there = match operation.source {
            PaymentSource::FreeOperation => account.free_operations > 0,
            PaymentSource::Balance => account.balance.covers(operation.price),
            // What gave it once gives the same use again, also after its date.
            PaymentSource::FreeAccess => true,
        };
        if is_there && operation.can_be_late(books.now) {
            let from = Account::purse(operation.source);
            let operation = self.finish(operation, (from, Cause::LateCommit), books)?;
            books.emit(self.user, EventKind::OperationCommittedLate(operation.clone()))?;
            return Ok(operation);
        }
        refuse(operation, books);
        Err(StateError::HoldExpired.into())
    }
}

/// Ends an expired operation whose late commit is refused.
///
/// The refusal is stored: otherwise a repeat after a top-up would charge for a result that was
/// thrown away meanwhile.
fn refuse(mut operation: Operation, books: &mut Books<'_>) {
    operation.state = OperationState::Refunded;
    operation.ended_at = Some(books.now);
    operation.refund =
        Some(Refund { reason: REFUSED.to_owned(), actor: None, commit_refused: true });
    books.put_operation(operation);
}
