//! OpenTopUp: money that is about to be asked for.

use super::BillingError;
use super::books::Books;
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{
    IdempotencyKey, Kopecks, Provider, ProviderAmount, Subject, TopUp, TopUpId, TopUpState, UserId,
};

/// Opens a top-up.
#[derive(Debug)]
pub struct OpenTopUp {
    pub user: UserId,
    pub provider: Provider,
    pub paid: ProviderAmount,
    pub credited: Kopecks,
    pub key: IdempotencyKey,
    /// The provider request as it will be sent.
    pub snapshot: Vec<u8>,
}

impl Decision for OpenTopUp {
    type Answer = TopUp;

    const NAME: &'static str = "open_top_up";
    const DONE: &'static str = "top-up opened";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn needs(&self, needs: &mut Needs) {
        needs.top_up_keys.push((self.user, self.key.clone()));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<TopUp>, BillingError> {
        books.account(self.user)?;
        if let Some(stored) = books.top_up_of(self.user, &self.key) {
            let is_same = stored.provider == self.provider
                && stored.paid == self.paid
                && stored.credited == self.credited;
            return if is_same {
                Ok(Decided::Repeat(stored.clone()))
            } else {
                Err(BillingError::KeyReused)
            };
        }
        let top_up = TopUp {
            user: self.user,
            id: TopUpId::new(),
            provider: self.provider.clone(),
            state: TopUpState::Open,
            paid: self.paid.clone(),
            credited: self.credited,
            key: self.key.clone(),
            snapshot: self.snapshot.clone(),
            payment: None,
            confirmation_url: String::new(),
            cancel_reason: None,
            created_at: books.now,
            ended_at: None,
            bonus_kopecks: 0,
            refunded_minor_units: 0,
            reversed_kopecks: 0,
            reversed_bonus_kopecks: 0,
        };
        books.add_top_up(top_up.clone());
        Ok(Decided::Done(top_up))
    }

    fn line(answer: &TopUp) -> Line {
        Line::of_top_up(answer)
    }
}
