//! What persons do to an account: AdjustBalance and GrantFreeOperations.

use super::BillingError;
use super::books::{Books, Posting, Standing};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    Cause, EventKind, Grant, IdempotencyKey, Intervention, InterventionKind, Kopecks, Movement,
    Place, Subject, UserId,
};

/// What a person gives or takes.
#[derive(Clone, Copy, Debug)]
pub enum Gift {
    /// Money that is given.
    Money(Kopecks),
    /// Money that is taken; never more than there is.
    Taking(Kopecks),
    /// Free operations that are given.
    FreeOperations(Grant),
}

/// A write of a person's.
#[derive(Debug)]
pub struct Intervene {
    pub user: UserId,
    pub gift: Gift,
    pub actor: String,
    pub reason: String,
    pub key: IdempotencyKey,
}

/// The account as it is now, and the entry that the first call wrote.
#[derive(Debug)]
pub struct Intervened {
    pub standing: Standing,
    pub entry_number: i64,
    amount_kopecks: i64,
}

impl Gift {
    fn kind(self) -> InterventionKind {
        match self {
            Self::Money(_) | Self::Taking(_) => InterventionKind::Adjustment,
            Self::FreeOperations(_) => InterventionKind::Grant,
        }
    }

    /// What it changes, below zero if it takes.
    fn amount(self) -> i64 {
        match self {
            Self::Money(amount) => amount.get(),
            Self::Taking(amount) => -amount.get(),
            Self::FreeOperations(grant) => grant.get(),
        }
    }

    fn movement(self) -> (Movement, Cause) {
        let of_kopecks = |from, to, amount: Kopecks| {
            (Movement { from, to, amount: amount.get() }, Cause::Adjustment)
        };
        match self {
            Self::Money(amount) => of_kopecks(Place::Adjustment, Place::Balance, amount),
            Self::Taking(amount) => of_kopecks(Place::Balance, Place::Adjustment, amount),
            Self::FreeOperations(grant) => {
                let (from, to) = (Place::FreeGranted, Place::FreeAvailable);
                (Movement { from, to, amount: grant.get() }, Cause::Grant)
            }
        }
    }
}

impl Decision for Intervene {
    type Answer = Intervened;

    const NAME: &'static str = "intervene";
    const DONE: &'static str = "adjusted by a person";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn needs(&self, needs: &mut Needs) {
        needs.profiles.push(self.user);
        needs.interventions.push((self.user, self.gift.kind(), self.key.clone()));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Intervened>, BillingError> {
        let account = books.account(self.user)?;
        let (kind, amount) = (self.gift.kind(), self.gift.amount());
        if let Some(stored) = books.intervention(self.user, kind, &self.key) {
            return if stored.is_same(amount, None) {
                Ok(Decided::Repeat(self.answer(stored.entry_number, books)?))
            } else {
                Err(BillingError::KeyReused)
            };
        }
        if let Gift::Taking(taken) = self.gift
            && !account.balance.covers(taken)
        {
            return Err(BillingError::WouldOverdraw { amount: taken, balance: account.balance });
        }
        let (movement, cause) = self.gift.movement();
        let actor = Some(self.actor.clone());
        books.post(self.user, Posting { movement, cause, subject: Subject::Account, actor })?;
        let account = books.account(self.user)?;
        let (entry_number, balance) = (account.last_entry, account.balance);
        books.add_intervention(Intervention {
            user: self.user,
            kind,
            key: self.key.clone(),
            amount,
            operation: None,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            entry_number,
            at: books.now,
        });
        let event = match self.gift {
            Gift::Money(_) | Gift::Taking(_) => EventKind::BalanceAdjusted(amount, balance),
            Gift::FreeOperations(_) => EventKind::FreeOperationsGranted(amount),
        };
        books.emit(self.user, event)?;
        Ok(Decided::Done(self.answer(entry_number, books)?))
    }

    fn line(answer: &Intervened) -> Line {
        Line::of_amount(answer.amount_kopecks)
    }
}

impl Intervene {
    fn answer(&self, entry_number: i64, books: &Books<'_>) -> Result<Intervened, BillingError> {
        let amount_kopecks = match self.gift.kind() {
            InterventionKind::Adjustment => self.gift.amount(),
            InterventionKind::Grant | InterventionKind::PartialRefund => 0,
        };
        Ok(Intervened { standing: books.standing(self.user)?, entry_number, amount_kopecks })
    }
}
