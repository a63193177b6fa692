//! Extend: a living hold lives longer.

use super::BillingError;
use super::books::Books;
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{Operation, OperationId, Subject, UserId};

/// Lengthens a hold.
#[derive(Debug)]
pub struct Extend {
    pub user: UserId,
    pub operation: OperationId,
}

impl Decision for Extend {
    type Answer = Operation;

    const NAME: &'static str = "extend";
    const DONE: &'static str = "extended";

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
        operation.state.extend()?;
        let expires_at = operation.extended(books.now, books.rules.hold_ttl);
        if expires_at == operation.expires_at {
            return Ok(Decided::Repeat(operation));
        }
        operation.expires_at = expires_at;
        books.put_operation(operation.clone());
        Ok(Decided::Done(operation))
    }

    fn line(answer: &Operation) -> Line {
        Line::of_operation(answer)
    }
}
