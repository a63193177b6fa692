//! ReverseTopUp: what a provider has paid back is taken back, once for each of its refunds.

use super::BillingError;
use super::books::{Books, Posting, Standing};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    Cause, EventKind, Movement, Place, ProviderAmount, ProviderRefundId, ReversedShare, Subject,
    TopUp, TopUpId, UserId,
};
use crate::store::Reversal;

/// Reverses a top-up, whole or in part.
#[derive(Debug)]
pub struct Reverse {
    pub user: UserId,
    pub top_up: TopUpId,
    pub refund: ProviderRefundId,
    /// What this refund has paid back, as the provider says.
    pub refunded: ProviderAmount,
}

/// The top-up and the account as they are now.
#[derive(Debug)]
pub struct Reversed {
    pub top_up: TopUp,
    pub standing: Standing,
    /// What this refund took back, bonus included.
    taken_kopecks: i64,
}

impl Decision for Reverse {
    type Answer = Reversed;

    const NAME: &'static str = "reverse_top_up";
    const DONE: &'static str = "top-up reversed";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::TopUp(self.top_up)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.profiles.push(self.user);
        needs.top_ups.push((self.user, self.top_up));
        needs.refunds.push((self.user, self.top_up, self.refund.clone()));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Reversed>, BillingError> {
        let mut top_up = books.top_up(self.user, self.top_up)?;
        if let Some(stored) = books.reversal(self.user, &top_up.provider, &self.refund) {
            let taken = stored.share.credit_kopecks + stored.share.bonus_kopecks;
            return if stored.top_up == self.top_up && stored.refunded == self.refunded {
                Ok(Decided::Repeat(self.answer(top_up, taken, books)?))
            } else {
                Err(BillingError::KeyReused)
            };
        }
        top_up.state.reverse()?;
        let share = top_up.reverse(&self.refunded)?;
        let taken = self.take(&top_up, share, books)?;
        top_up.refunded_minor_units += self.refunded.minor_units;
        top_up.reversed_kopecks += share.credit_kopecks;
        top_up.reversed_bonus_kopecks += share.bonus_kopecks;
        books.put_top_up(top_up.clone());
        books.add_reversal(Reversal {
            user: self.user,
            provider: top_up.provider.clone(),
            refund: self.refund.clone(),
            top_up: self.top_up,
            refunded: self.refunded.clone(),
            share,
            at: books.now,
        });
        // A refund so small that its share is less than a kopeck has nothing to tell.
        if taken > 0 {
            let balance = books.account(self.user)?.balance;
            books.emit(self.user, EventKind::TopUpReversed(top_up.clone(), taken, balance))?;
        }
        Ok(Decided::Done(self.answer(top_up, taken, books)?))
    }

    fn line(answer: &Reversed) -> Line {
        Line::of_top_up(&answer.top_up).over(answer.taken_kopecks)
    }
}

impl Reverse {
    /// Takes the share back, below zero if need be, and says how much it was.
    fn take(
        &self,
        top_up: &TopUp,
        share: ReversedShare,
        books: &mut Books<'_>,
    ) -> Result<i64, BillingError> {
        let clearing = Place::Clearing(top_up.provider.clone());
        let parts = [(clearing, share.credit_kopecks), (Place::Promo, share.bonus_kopecks)];
        let mut taken = 0;
        for (to, amount) in parts {
            if amount == 0 {
                continue;
            }
            books.note_reversed(self.user, amount)?;
            let posting = Posting {
                movement: Movement { from: Place::Balance, to, amount },
                cause: Cause::Reversal,
                subject: Subject::TopUp(self.top_up),
                actor: None,
            };
            books.post(self.user, posting)?;
            taken += amount;
        }
        Ok(taken)
    }

    fn answer(
        &self,
        top_up: TopUp,
        taken_kopecks: i64,
        books: &Books<'_>,
    ) -> Result<Reversed, BillingError> {
        Ok(Reversed { top_up, standing: books.standing(self.user)?, taken_kopecks })
    }
}
