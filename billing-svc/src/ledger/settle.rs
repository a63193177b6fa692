//! SettleTopUp: the payment is claimed for ever, and the user credited once.

use super::BillingError;
use super::books::{Books, Posting, Standing};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    Cause, EventKind, Movement, PaymentId, Place, ProviderAmount, Redemption, Subject, TopUp,
    TopUpError, TopUpId, TopUpState, TopUpStep, UserId, bonus_rounded_down,
};
use crate::store::Claim;

/// Credits a top-up.
#[derive(Debug)]
pub struct Settle {
    pub user: UserId,
    pub top_up: TopUpId,
    pub payment: PaymentId,
    /// What was paid, as the provider says.
    pub paid: ProviderAmount,
}

/// The top-up and the account as they are now.
#[derive(Debug)]
pub struct Settled {
    pub top_up: TopUp,
    pub standing: Standing,
}

impl Decision for Settle {
    type Answer = Settled;

    const NAME: &'static str = "settle_top_up";
    const DONE: &'static str = "top-up settled";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::TopUp(self.top_up)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.profiles.push(self.user);
        needs.top_ups.push((self.user, self.top_up));
        needs.payments.push((self.user, self.top_up, self.payment.clone()));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Settled>, BillingError> {
        let mut top_up = books.top_up(self.user, self.top_up)?;
        if top_up.paid != self.paid {
            return Err(TopUpError::AmountMismatch.into());
        }
        top_up.accepts(&self.payment)?;
        let claim = books.claim(&top_up.provider, &self.payment);
        let is_claimed = claim.is_some();
        if claim.is_some_and(|claim| (claim.user, claim.top_up) != (self.user, self.top_up)) {
            return Err(TopUpError::PaymentAlreadyClaimed.into());
        }
        match top_up.state.settle() {
            TopUpStep::AlreadyThere => Ok(Decided::Repeat(self.settled(top_up, books)?)),
            TopUpStep::Move => {
                self.credit(&mut top_up, books)?;
                if !is_claimed {
                    books.add_claim(Claim {
                        provider: top_up.provider.clone(),
                        payment: self.payment.clone(),
                        user: self.user,
                        top_up: self.top_up,
                        at: books.now,
                    });
                }
                top_up.state = TopUpState::Settled;
                top_up.ended_at = Some(books.now);
                top_up.payment = Some(self.payment.clone());
                books.put_top_up(top_up.clone());
                let balance = books.account(self.user)?.balance;
                books.emit(self.user, EventKind::TopUpSettled(top_up.clone(), balance))?;
                Ok(Decided::Done(self.settled(top_up, books)?))
            }
        }
    }

    fn line(answer: &Settled) -> Line {
        Line::of_top_up(&answer.top_up)
    }
}

impl Settle {
    fn credit(&self, top_up: &mut TopUp, books: &mut Books<'_>) -> Result<(), BillingError> {
        let posting = |from, amount, cause| Posting {
            movement: Movement { from, to: Place::Balance, amount },
            cause,
            subject: Subject::TopUp(self.top_up),
            actor: None,
        };
        let clearing = Place::Clearing(top_up.provider.clone());
        books.post(self.user, posting(clearing, top_up.credited.get(), Cause::TopUp))?;
        let Some((mut redemption, bonus)) = self.bonus(top_up, books) else { return Ok(()) };
        books.post(self.user, posting(Place::Promo, bonus, Cause::Bonus))?;
        top_up.bonus_kopecks = bonus;
        redemption.used_at = Some(books.now);
        redemption.top_up = Some(self.top_up);
        books.put_redemption(redemption);
        Ok(())
    }

    /// The promo code that adds the most to this top-up, if any adds something.
    fn bonus(&self, top_up: &TopUp, books: &Books<'_>) -> Option<(Redemption, i64)> {
        books
            .redemptions_of(self.user)
            .filter_map(|redemption| {
                let (percent, max) = redemption.bonus(books.now)?;
                let bonus = bonus_rounded_down(top_up.credited, percent, max);
                (bonus > 0).then(|| (redemption.clone(), bonus))
            })
            .max_by_key(|(_, bonus)| *bonus)
    }

    fn settled(&self, top_up: TopUp, books: &Books<'_>) -> Result<Settled, BillingError> {
        Ok(Settled { top_up, standing: books.standing(self.user)? })
    }
}
