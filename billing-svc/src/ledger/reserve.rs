//! Reserve: a free operation if there is one, else the price, held for the operation.

use std::collections::BTreeMap;

use super::BillingError;
use super::books::{Books, Posting};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    Account, Cause, IdempotencyKey, Kopecks, Movement, Operation, OperationId, OperationState,
    PaymentSource, PromoCodeName, Subject, UserId, discounted_rounded_up,
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
        if let Some(stored) = self.repeated(books)? {
            return Ok(Decided::Repeat(stored));
        }
        let terms = terms(self, books)?;
        let number = books.account(self.user)?.last_entry + 1;
        let operation = self.operation(&terms, number, books);
        let posting = Posting {
            movement: Movement {
                from: Account::purse(operation.source),
                to: Account::hold(operation.source),
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

impl Reserve {
    /// The operation that this key has reserved before. Comes before the price list: a repeat is
    /// answered also when the type is no longer sold.
    fn repeated(&self, books: &Books<'_>) -> Result<Option<Operation>, BillingError> {
        books.account(self.user)?;
        match books.operation_of(self.user, &self.key) {
            None => Ok(None),
            Some(stored)
                if stored.operation_type == self.operation_type && stored.model == self.model =>
            {
                Ok(Some(stored.clone()))
            }
            Some(_) => Err(BillingError::KeyReused),
        }
    }

    fn operation(&self, terms: &Terms, number: i64, books: &Books<'_>) -> Operation {
        Operation {
            user: self.user,
            id: OperationId::new(),
            number,
            operation_type: self.operation_type.clone(),
            model: self.model.clone(),
            state: OperationState::Reserved,
            source: terms.source,
            price: terms.price,
            list_price: terms.list_price,
            promo_code: terms.promo_code.clone(),
            key: self.key.clone(),
            created_at: books.now,
            expires_at: books.now.plus(books.rules.hold_ttl),
            ended_at: None,
            refund: None,
            cost_micro_usd: None,
            refunded_in_parts_kopecks: 0,
            metadata: self.metadata.clone(),
        }
    }
}

/// On which terms an operation would be reserved now.
#[derive(Clone, Debug)]
pub struct Terms {
    pub source: PaymentSource,
    pub price: Kopecks,
    pub list_price: Kopecks,
    /// Which promo code lowered the price or gave free access.
    pub promo_code: Option<PromoCodeName>,
}

/// What pays, and how much: free access first, then a free operation, then money; never part of
/// each.
fn terms(reserve: &Reserve, books: &Books<'_>) -> Result<Terms, BillingError> {
    let account = books.account(reserve.user)?;
    let line = books
        .rules
        .prices
        .find(&reserve.operation_type, &reserve.model, books.now)
        .ok_or(BillingError::OperationTypeNotSold)?;
    let list_price = line.price;
    let discount = books
        .redemptions_of(reserve.user)
        .filter_map(|r| Some((r.discount(books.now)?, &r.code)))
        .max_by_key(|(percent, _)| *percent);
    let price =
        discount.map_or(list_price, |(percent, _)| discounted_rounded_up(list_price, percent));
    if let Some(expected) = reserve.expected_price
        && price > expected
    {
        return Err(BillingError::PriceChanged { price, expected });
    }
    let free = |source, promo_code| Terms { source, price: list_price, list_price, promo_code };
    if line.free_operations_allowed {
        let access = books.redemptions_of(reserve.user).find(|r| r.is_free_access(books.now));
        if let Some(access) = access {
            return Ok(free(PaymentSource::FreeAccess, Some(access.code.clone())));
        }
        if account.free_operations > 0 {
            return Ok(free(PaymentSource::FreeOperation, None));
        }
    }
    if !account.balance.covers(price) {
        return Err(BillingError::InsufficientFunds {
            price,
            balance: account.balance,
            free_operations: account.free_operations,
        });
    }
    let promo_code = discount.map(|(_, code)| code.clone());
    Ok(Terms { source: PaymentSource::Balance, price, list_price, promo_code })
}

/// Asks what a Reserve would answer; stores nothing.
#[derive(Debug)]
pub struct DryReserve {
    pub reserve: Reserve,
    /// Whether the caller has said under which key.
    pub is_keyed: bool,
}

/// What a dry run answers.
#[derive(Debug)]
pub enum DryReserved {
    /// The key was used before, for this operation.
    Repeat(Box<Operation>),
    /// It would be reserved on these terms.
    Terms(Terms),
}

impl Decision for DryReserve {
    type Answer = DryReserved;

    const NAME: &'static str = "dry_reserve";
    const DONE: &'static str = "reserve tried";
    // It decides about nobody's money.
    const IS_LOGGED: bool = false;

    fn user(&self) -> UserId {
        self.reserve.user
    }

    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn needs(&self, needs: &mut Needs) {
        if self.is_keyed {
            self.reserve.needs(needs);
        }
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<DryReserved>, BillingError> {
        if self.is_keyed
            && let Some(stored) = self.reserve.repeated(books)?
        {
            return Ok(Decided::Repeat(DryReserved::Repeat(Box::new(stored))));
        }
        Ok(Decided::Done(DryReserved::Terms(terms(&self.reserve, books)?)))
    }

    fn line(_answer: &DryReserved) -> Line {
        Line::of_account()
    }
}
