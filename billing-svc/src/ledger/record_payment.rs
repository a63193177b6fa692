//! RecordTopUpPayment: what the provider answered when the payment was made there.

use super::BillingError;
use super::books::Books;
use super::decision::{Decided, Decision, Line};
use super::needs::Needs;
use crate::domain::{PaymentId, Subject, TopUp, TopUpId, UserId};

/// Keeps a payment's id and address.
#[derive(Debug)]
pub struct RecordPayment {
    pub user: UserId,
    pub top_up: TopUpId,
    pub payment: PaymentId,
    pub confirmation_url: String,
}

impl Decision for RecordPayment {
    type Answer = TopUp;

    const NAME: &'static str = "record_top_up_payment";
    const DONE: &'static str = "top-up payment recorded";

    fn user(&self) -> UserId {
        self.user
    }

    fn subject(&self) -> Subject {
        Subject::TopUp(self.top_up)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.top_ups.push((self.user, self.top_up));
    }

    fn decide(&self, books: &mut Books<'_>) -> Result<Decided<TopUp>, BillingError> {
        let mut top_up = books.top_up(self.user, self.top_up)?;
        top_up.accepts(&self.payment)?;
        if top_up.payment.is_some() {
            return Ok(Decided::Repeat(top_up));
        }
        top_up.payment = Some(self.payment.clone());
        top_up.confirmation_url.clone_from(&self.confirmation_url);
        books.put_top_up(top_up.clone());
        Ok(Decided::Done(top_up))
    }

    fn line(answer: &TopUp) -> Line {
        Line::of_top_up(answer)
    }
}
