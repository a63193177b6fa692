//! Refund: what was taken goes back to its source.

use super::BillingError;
use super::books::{Books, Needs, Posting};
use super::decision::{Decided, Decision, Line};
use crate::domain::{
    Account, Cause, EventKind, Movement, Operation, OperationId, OperationState, Place, Refund,
    RefundStep, Subject, UserId,
};

/// Refunds an operation.
#[derive(Debug)]
pub struct RefundOperation {
    pub user: UserId,
    pub operation: OperationId,
    pub reason: String,
    /// Person, if it is a person: only a person takes delivered work back.
    pub actor: Option<String>,
}

impl Decision for RefundOperation {
    type Answer = Operation;

    const NAME: &'static str = "refund";
    const DONE: &'static str = "refunded";

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
        let mut operation = books.operation(self.user, self.operation)?;
        let from = match operation.state.refund(self.actor.is_some())? {
            RefundStep::AlreadyThere => return Ok(Decided::Repeat(operation)),
            RefundStep::Release => Some(Account::hold(operation.source)),
            RefundStep::GiveBack => Some(Account::spent(operation.source)),
            RefundStep::End => None,
        };
        let has_moved = from.is_some();
        if let Some(from) = from {
            self.give_back(&operation, from, books)?;
        }
        operation.state = OperationState::Refunded;
        operation.ended_at = Some(books.now);
        operation.refund = Some(Refund {
            reason: self.reason.clone(),
            actor: self.actor.clone(),
            commit_refused: false,
        });
        books.put_operation(operation.clone());
        // Of an expired one the user was told already that everything is back.
        if self.actor.is_some() && has_moved {
            books.emit(self.user, EventKind::OperationRefunded(operation.clone()))?;
        }
        Ok(Decided::Done(operation))
    }

    fn line(answer: &Operation) -> Line {
        Line::of_operation(answer)
    }
}

impl RefundOperation {
    fn give_back(
        &self,
        operation: &Operation,
        from: Place,
        books: &mut Books<'_>,
    ) -> Result<(), BillingError> {
        let posting = Posting {
            movement: Movement {
                from,
                to: Account::purse(operation.source),
                amount: operation.amount(),
            },
            cause: Cause::Refund,
            subject: Subject::Operation(operation.id),
            actor: self.actor.clone(),
        };
        books.post(self.user, posting)
    }
}
