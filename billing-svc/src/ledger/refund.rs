//! Refund: what was taken goes back to its source, whole or, by a person, in parts.

use super::BillingError;
use super::books::{Books, Posting};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    Account, Cause, EventKind, IdempotencyKey, Intervention, InterventionKind, Kopecks, Movement,
    Operation, OperationId, OperationState, Place, Refund, RefundStep, StateError, Subject, UserId,
};

/// Refunds an operation.
#[derive(Debug)]
pub struct RefundOperation {
    pub user: UserId,
    pub operation: OperationId,
    pub reason: String,
    pub by: RefundBy,
}

/// Who refunds, and how much. Only a person takes delivered work back.
#[derive(Debug)]
pub enum RefundBy {
    /// A service: it only releases.
    Nobody,
    /// A person: all that is left.
    Person(String),
    /// A person: a part of the money.
    PersonInPart(Part),
}

/// A part of a refund, under its own key.
#[derive(Debug)]
pub struct Part {
    pub actor: String,
    pub amount: Kopecks,
    pub key: IdempotencyKey,
}

impl RefundBy {
    fn actor(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Person(actor) => Some(actor),
            Self::PersonInPart(part) => Some(&part.actor),
        }
    }
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
        if let RefundBy::PersonInPart(part) = &self.by {
            needs.interventions.push((
                self.user,
                InterventionKind::PartialRefund,
                part.key.clone(),
            ));
        }
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Operation>, BillingError> {
        match &self.by {
            RefundBy::Nobody => self.refund_whole(None, books),
            RefundBy::Person(actor) => self.refund_whole(Some(actor), books),
            RefundBy::PersonInPart(part) => self.refund_part(part, books),
        }
    }

    fn line(answer: &Operation) -> Line {
        Line::of_operation(answer)
    }
}

impl RefundOperation {
    fn refund_whole(
        &self,
        actor: Option<&String>,
        books: &mut Books<'_>,
    ) -> Result<Decided<Operation>, BillingError> {
        let mut operation = books.operation(self.user, self.operation)?;
        let from = match operation.state.refund(actor.is_some())? {
            RefundStep::AlreadyThere => return Ok(Decided::Repeat(operation)),
            RefundStep::Release => Some(Account::hold(operation.source)),
            RefundStep::GiveBack => Some(Account::spent(operation.source)),
            RefundStep::End => None,
        };
        let amount = operation.left();
        let kopecks = operation.left_kopecks();
        let has_moved = from.is_some();
        if let Some(from) = from {
            self.give_back(&operation, (from, amount), books)?;
        }
        self.end(&mut operation, actor, books);
        // Of an expired one the user was told already that everything is back.
        if actor.is_some() && has_moved {
            books.emit(self.user, EventKind::OperationRefunded(operation.clone(), kopecks))?;
        }
        Ok(Decided::Done(operation))
    }

    fn refund_part(
        &self,
        part: &Part,
        books: &mut Books<'_>,
    ) -> Result<Decided<Operation>, BillingError> {
        let mut operation = books.operation(self.user, self.operation)?;
        let amount = part.amount.get();
        let kind = InterventionKind::PartialRefund;
        if let Some(stored) = books.intervention(self.user, kind, &part.key) {
            return if stored.is_same(amount, Some(self.operation)) {
                Ok(Decided::Repeat(operation))
            } else {
                Err(BillingError::KeyReused)
            };
        }
        match operation.state {
            OperationState::Committed | OperationState::Refunded => {}
            OperationState::Reserved | OperationState::Expired => {
                return Err(StateError::OperationNotCommitted.into());
            }
        }
        let left = operation.left_kopecks();
        if amount > left {
            return Err(BillingError::RefundExceedsPrice { left_kopecks: left });
        }
        self.give_back(&operation, (Account::spent(operation.source), amount), books)?;
        operation.refunded_in_parts_kopecks += amount;
        let is_all = amount == left;
        if is_all {
            self.end(&mut operation, Some(&part.actor), books);
        } else {
            books.put_operation(operation.clone());
        }
        books.add_intervention(Intervention {
            user: self.user,
            kind,
            key: part.key.clone(),
            amount,
            operation: Some(self.operation),
            actor: part.actor.clone(),
            reason: self.reason.clone(),
            entry_number: books.account(self.user)?.last_entry,
            at: books.now,
        });
        let event = if is_all {
            EventKind::OperationRefunded(operation.clone(), amount)
        } else {
            EventKind::OperationRefundedInPart(operation.clone(), amount)
        };
        books.emit(self.user, event)?;
        Ok(Decided::Done(operation))
    }

    fn end(&self, operation: &mut Operation, actor: Option<&String>, books: &mut Books<'_>) {
        operation.state = OperationState::Refunded;
        operation.ended_at = Some(books.now);
        operation.refund = Some(Refund {
            reason: self.reason.clone(),
            actor: actor.cloned(),
            commit_refused: false,
        });
        books.put_operation(operation.clone());
    }

    fn give_back(
        &self,
        operation: &Operation,
        (from, amount): (Place, i64),
        books: &mut Books<'_>,
    ) -> Result<(), BillingError> {
        let posting = Posting {
            movement: Movement { from, to: Account::purse(operation.source), amount },
            cause: Cause::Refund,
            subject: Subject::Operation(operation.id),
            actor: self.by.actor().map(str::to_owned),
        };
        books.post(self.user, posting)
    }
}
