//! RedeemPromoCode: a user gets what a promo code promises, once.

use super::BillingError;
use super::books::{Books, Posting, Standing};
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    Cause, IdempotencyKey, Movement, Place, PromoCode, PromoCodeName, PromoEffect, PromoError,
    Redemption, Subject, UserId,
};

/// Redeems a promo code.
#[derive(Debug)]
pub struct Redeem {
    pub user: UserId,
    pub code: PromoCodeName,
    pub key: IdempotencyKey,
}

/// The redemption and the account as they are now.
#[derive(Debug)]
pub struct Redeemed {
    pub redemption: Redemption,
    pub standing: Standing,
    pub is_active: bool,
}

impl Decision for Redeem {
    type Answer = Redeemed;

    const NAME: &'static str = "redeem_promo_code";
    const DONE: &'static str = "promo code redeemed";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn needs(&self, needs: &mut Needs) {
        needs.profiles.push(self.user);
        needs.redemptions.push((self.user, self.key.clone(), self.code.clone()));
        needs.promo_codes.push(self.code.clone());
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<Redeemed>, BillingError> {
        books.account(self.user)?;
        if let Some(stored) = books.redemptions_of(self.user).find(|r| r.key == self.key) {
            return if stored.code == self.code {
                Ok(Decided::Repeat(self.answer(stored.clone(), books)?))
            } else {
                Err(BillingError::KeyReused)
            };
        }
        let mut code = books.promo_code(&self.code).ok_or(PromoError::NotFound)?.clone();
        if books.redemption(self.user, &self.code).is_some() {
            return Err(PromoError::AlreadyRedeemed.into());
        }
        code.check(books.now)?;
        code.redemptions += 1;
        let redemption = self.redeem(&code, books)?;
        books.put_promo_code(code);
        books.add_redemption(redemption.clone())?;
        Ok(Decided::Done(self.answer(redemption, books)?))
    }

    fn line(_answer: &Redeemed) -> Line {
        Line::of_account()
    }
}

impl Redeem {
    fn redeem(&self, code: &PromoCode, books: &mut Books<'_>) -> Result<Redemption, BillingError> {
        let mut redemption = Redemption {
            user: self.user,
            code: self.code.clone(),
            key: self.key.clone(),
            effect: code.effect,
            redeemed_at: books.now,
            used_at: None,
            entry_number: None,
            top_up: None,
        };
        match code.effect {
            PromoEffect::FreeOperations(grant) => {
                let posting = Posting {
                    movement: Movement {
                        from: Place::FreeGranted,
                        to: Place::FreeAvailable,
                        amount: grant.get(),
                    },
                    cause: Cause::PromoCode,
                    subject: Subject::Account,
                    actor: None,
                };
                books.post(self.user, posting)?;
                redemption.used_at = Some(books.now);
                redemption.entry_number = Some(books.account(self.user)?.last_entry);
            }
            PromoEffect::OperationDiscount { .. }
            | PromoEffect::TopUpBonus { .. }
            | PromoEffect::FreeAccess { .. } => {}
        }
        Ok(redemption)
    }

    fn answer(&self, redemption: Redemption, books: &Books<'_>) -> Result<Redeemed, BillingError> {
        let is_active = redemption.is_active(books.now);
        Ok(Redeemed { redemption, standing: books.standing(self.user)?, is_active })
    }
}
