//! Reserve: a free operation if there is one, else the price, held for the operation.

use std::collections::BTreeMap;

use super::BillingError;
use super::books::{Books, Needs, Posting};
use super::decision::{Decided, Decision, Line};
use crate::domain::{
    Account, Cause, IdempotencyKey, Kopecks, Movement, Operation, OperationId, OperationState,
    PaymentSource, Price, Subject, UserId,
};

/// Reserves an operation.
#[derive(Debug)]
pub struct Reserve {
    pub user: UserId,
    pub operation_type: String,
    pub model: String,
    pub key: IdempotencyKey,
    /// The price that the user was shown.
    pub expected_price: Option<Kopecks>,
    pub metadata: BTreeMap<String, String>,
}

impl Decision for Reserve {
    type Answer = Operation;

    const NAME: &'static str = "reserve";
    const DONE: &'static str = "reserved";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn needs(&self, needs: &mut Needs) {
        needs.operation_keys.push((self.user, self.key.clone()));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Operation>, BillingError> {
        let account = books.account(self.user)?;
        if let Some(stored) = books.operation_of(self.user, &self.key) {
            // Before the price list: a repeat is answered also when the type is no longer sold.
            return if stored.operation_type == self.operation_type && stored.model == self.model {
                Ok(Decided::Repeat(stored.clone()))
            } else {
                Err(BillingError::KeyReused)
            };
        }
        let price = books
            .rules
            .prices
            .find(&self.operation_type, &self.model)
            .ok_or(BillingError::OperationTypeNotSold)?;
        if let Some(expected) = self.expected_price
            && price.price > expected
        {
            return Err(BillingError::PriceChanged { price: price.price, expected });
        }
        let source = source(account, price)?;
        let operation = Operation {
            user: self.user,
            id: OperationId::new(),
            number: account.last_entry + 1,
            operation_type: self.operation_type.clone(),
            model: self.model.clone(),
            state: OperationState::Reserved,
            source,
            price: price.price,
            key: self.key.clone(),
            created_at: books.now,
            expires_at: books.now.plus(books.rules.hold_ttl),
            ended_at: None,
            refund: None,
            cost_micro_usd: None,
            metadata: self.metadata.clone(),
        };
        let posting = Posting {
            movement: Movement {
                from: Account::purse(source),
                to: Account::hold(source),
                amount: operation.amount(),
            },
            cause: Cause::Reserve,
            subject: Subject::Operation(operation.id),
            actor: None,
        };
        books.post(self.user, posting)?;
        books.add_operation(operation.clone());
        Ok(Decided::Done(operation))
    }

    fn line(answer: &Operation) -> Line {
        Line::of_operation(answer)
    }
}

/// What pays: free operations first, and never part of each.
fn source(account: &Account, price: &Price) -> Result<PaymentSource, BillingError> {
    if price.free_operations_allowed && account.free_operations > 0 {
        Ok(PaymentSource::FreeOperation)
    } else if account.balance.covers(price.price) {
        Ok(PaymentSource::Balance)
    } else {
        Err(BillingError::InsufficientFunds {
            price: price.price,
            balance: account.balance,
            free_operations: account.free_operations,
        })
    }
}
