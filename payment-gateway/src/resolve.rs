//! What a payment means for its top-up: the one path that notifications, the «check» button, the
//! return page, the reconciler and the daily comparison share.
//!
//! Invariant: money is credited only for a payment that was read from YooKassa just now, that is
//! paid, and whose amount, currency, shop, mode and metadata are those of the top-up. Walking the
//! path any number of times, from any number of places at once, credits it once: billing claims
//! the payment.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use proto::reason::{
    PAYMENT_ALREADY_CLAIMED, TOP_UP_AMOUNT_MISMATCH, TOP_UP_PAYMENT_MISMATCH, TOP_UP_SETTLED,
};

use crate::billing::{Billing, BillingError, Paid, TopUp, TopUpState};
use crate::error::PaymentError;
use crate::ids::{PaymentId, TopUpId, UserId};
use crate::money::Kopecks;
use crate::yookassa::wire::{Amount, Payment, Status};
use crate::yookassa::{Client, YookassaError};

/// Who wants to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Via {
    /// A notification.
    Webhook,
    /// CheckPayment.
    Check,
    /// The reconciler.
    Reconciler,
    /// CreatePayment: the payment had ended by the time its POST was answered.
    Create,
    /// A refund that an operator asked for.
    Operator,
    /// The daily comparison with what YooKassa has.
    Comparison,
    /// The page that the user returns to.
    ReturnPage,
}

impl Via {
    /// As it is logged and counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Check => "check",
            Self::Reconciler => "reconciler",
            Self::Create => "create",
            Self::Operator => "operator",
            Self::Comparison => "comparison",
            Self::ReturnPage => "return_page",
        }
    }
}

/// Whose a payment is, by what we wrote on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Who pays.
    pub user_id: UserId,
    /// What it is for.
    pub top_up_id: TopUpId,
}

impl Owner {
    /// Reads the metadata; `None` where it is not ours.
    pub fn of(payment: &Payment) -> Option<Self> {
        Some(Self {
            user_id: payment.metadata("user_id")?.parse().ok()?,
            top_up_id: payment.metadata("top_up_id")?.parse().ok()?,
        })
    }
}

impl From<&TopUp> for Owner {
    fn from(top_up: &TopUp) -> Self {
        Self { user_id: top_up.user_id, top_up_id: top_up.id }
    }
}

/// What became of a payment's top-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// Credited, now or before.
    Settled,
    /// Ended without money, now or before.
    Cancelled,
    /// Nothing to do yet.
    Pending,
    /// Not a payment of ours: another system's, or nobody's.
    NotOurs,
    /// Not what the top-up asked for. Nothing was moved; a person must look.
    Refused(Mismatch),
}

/// In what a payment differs from what its top-up asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mismatch {
    /// Billing knows no such top-up of this user.
    TopUp,
    /// The metadata name another top-up, or none.
    Metadata,
    /// Another payment belongs to the top-up.
    Payment,
    /// Another sum.
    Amount,
    /// Another currency.
    Currency,
    /// Another shop.
    Shop,
    /// Play money in a shop that takes real money.
    TestMode,
    /// Called succeeded but not paid.
    NotPaid,
}

impl Mismatch {
    /// As it is logged and counted.
    fn name(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Metadata => "metadata",
            Self::Payment => "payment",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::Shop => "shop",
            Self::TestMode => "test_mode",
            Self::NotPaid => "not_paid",
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which shop is ours.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Its id.
    pub id: String,
    /// Whether it takes real money.
    pub is_live: bool,
}

impl Shop {
    /// Compares a payment with what was asked for.
    pub fn check(&self, payment: &Payment, top_up: &TopUp) -> Result<Paid, Mismatch> {
        if Owner::of(payment) != Some(top_up.into()) {
            return Err(Mismatch::Metadata);
        }
        let account = payment.recipient.as_ref().and_then(|r| r.account_id.as_deref());
        // Read with the shop's own key, a payment that names no shop is the shop's.
        if account.is_some_and(|account| account != self.id) {
            return Err(Mismatch::Shop);
        }
        if self.is_live && payment.test == Some(true) {
            return Err(Mismatch::TestMode);
        }
        if top_up.payment_id.as_ref().is_some_and(|known| known.to_string() != payment.id) {
            return Err(Mismatch::Payment);
        }
        let Amount { value, currency } = payment.amount.clone().ok_or(Mismatch::Amount)?;
        if currency != top_up.paid.currency {
            return Err(Mismatch::Currency);
        }
        match Kopecks::from_roubles(&value) {
            Ok(amount) if amount == top_up.paid.amount => Ok(Paid { amount, currency }),
            _ => Err(Mismatch::Amount),
        }
    }
}

/// Looks payments up and lets billing know.
#[derive(Debug)]
pub struct Resolver {
    billing: Billing,
    yookassa: Arc<Client>,
    shop: Shop,
}

impl Resolver {
    /// Puts it together.
    pub fn new(billing: Billing, yookassa: Arc<Client>, shop: Shop) -> Self {
        Self { billing, yookassa, shop }
    }

    /// Which shop is ours.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Asks YooKassa about a payment, and settles or cancels its top-up by the answer.
    ///
    /// `expected` is whose the payment must be, where that is known.
    pub async fn resolve(
        &self,
        payment_id: &PaymentId,
        expected: Option<Owner>,
        via: Via,
    ) -> Result<Resolution, PaymentError> {
        let ended = self.ask_and_apply(payment_id, expected, via).await;
        let outcome = match &ended {
            Ok(Resolution::Settled) => "settled",
            Ok(Resolution::Cancelled) => "cancelled",
            Ok(Resolution::Pending) => "pending",
            Ok(Resolution::NotOurs) => "not_ours",
            Ok(Resolution::Refused(_)) => "refused",
            Err(_) => "unavailable",
        };
        metrics::counter!("payments_settled_total", "via" => via.name(), "outcome" => outcome)
            .increment(1);
        ended
    }

    async fn ask_and_apply(
        &self,
        payment_id: &PaymentId,
        expected: Option<Owner>,
        via: Via,
    ) -> Result<Resolution, PaymentError> {
        let payment = match self.yookassa.get(payment_id).await {
            Ok(payment) => payment,
            Err(YookassaError::NotFound) => return Ok(Self::unknown_payment(payment_id, expected)),
            // Refusing a read means that our credentials are wrong: that will be mended.
            Err(error @ (YookassaError::Rejected(_) | YookassaError::Unknown(_))) => {
                return Err(PaymentError::unanswered(&error));
            }
        };
        // What is applied is what was asked about, whatever the answer calls itself.
        let owner = Owner::of(&payment).filter(|_| payment.id == payment_id.to_string());
        let owner = match (owner, expected) {
            (Some(owner), None) => owner,
            (Some(owner), Some(expected)) if owner == expected => owner,
            (None, None) => return Ok(Resolution::NotOurs),
            (_, Some(expected)) => return Ok(refuse(payment_id, expected, Mismatch::Metadata)),
        };
        let Some(top_up) = self.billing.get(owner.user_id, owner.top_up_id).await? else {
            return Ok(refuse(payment_id, owner, Mismatch::TopUp));
        };
        self.apply(payment_id, &payment, &top_up, via).await
    }

    fn unknown_payment(payment_id: &PaymentId, expected: Option<Owner>) -> Resolution {
        match expected {
            // Made with the keys of another shop, for example.
            Some(owner) => refuse(payment_id, owner, Mismatch::Payment),
            None => Resolution::NotOurs,
        }
    }

    async fn apply(
        &self,
        payment_id: &PaymentId,
        payment: &Payment,
        top_up: &TopUp,
        via: Via,
    ) -> Result<Resolution, PaymentError> {
        let paid = match self.shop.check(payment, top_up) {
            Ok(paid) => paid,
            Err(mismatch) => return Ok(refuse(payment_id, top_up.into(), mismatch)),
        };
        match payment.status {
            Status::Pending | Status::Unknown => Ok(Resolution::Pending),
            Status::Canceled => {
                let details = payment.cancellation_details.as_ref();
                let reason = details.and_then(|d| d.reason.as_deref()).unwrap_or_default();
                self.cancel(payment_id, top_up, reason, via).await
            }
            Status::Succeeded if payment.paid == Some(true) => {
                self.settle(payment_id, top_up, paid, via).await
            }
            Status::Succeeded => Ok(refuse(payment_id, top_up.into(), Mismatch::NotPaid)),
            Status::WaitingForCapture => self.capture(payment_id, payment, top_up, via).await,
        }
    }

    /// We ask for payments in one stage, so this is met only where the shop's settings or a hand in
    /// the merchant profile made it two. Money that is held and not taken goes back after days.
    async fn capture(
        &self,
        payment_id: &PaymentId,
        payment: &Payment,
        top_up: &TopUp,
        via: Via,
    ) -> Result<Resolution, PaymentError> {
        let Some(amount) = &payment.amount else {
            return Ok(refuse(payment_id, top_up.into(), Mismatch::Amount));
        };
        let captured = match self.yookassa.capture(payment_id, amount).await {
            Ok(captured) => captured,
            // Taken or released in the meantime: the next look tells.
            Err(YookassaError::Rejected(_) | YookassaError::NotFound) => {
                return Ok(Resolution::Pending);
            }
            Err(error @ YookassaError::Unknown(_)) => return Err(PaymentError::unanswered(&error)),
        };
        tracing::info!(
            user.id = %top_up.user_id,
            top_up.id = %top_up.id,
            payment.id = %payment_id,
            amount_kopecks = top_up.paid.amount.get(),
            outcome = "captured",
            "yookassa: held money taken"
        );
        match (captured.status, self.shop.check(&captured, top_up)) {
            (Status::Succeeded, Ok(paid)) if captured.paid == Some(true) => {
                self.settle(payment_id, top_up, paid, via).await
            }
            _ => Ok(Resolution::Pending),
        }
    }

    async fn settle(
        &self,
        payment_id: &PaymentId,
        top_up: &TopUp,
        paid: Paid,
        via: Via,
    ) -> Result<Resolution, PaymentError> {
        if top_up.state == TopUpState::Settled {
            metrics::counter!("payments_repeated_total", "via" => via.name()).increment(1);
            tracing::info!(
                user.id = %top_up.user_id,
                top_up.id = %top_up.id,
                payment.id = %payment_id,
                amount_kopecks = paid.amount.get(),
                outcome = "repeated",
                via = via.name(),
                "yookassa: top-up was settled before"
            );
            return Ok(Resolution::Settled);
        }
        match self.billing.settle(top_up, payment_id, paid).await {
            Ok(balance_kopecks) => {
                tracing::info!(
                    user.id = %top_up.user_id,
                    top_up.id = %top_up.id,
                    payment.id = %payment_id,
                    amount_kopecks = top_up.paid.amount.get(),
                    balance_kopecks,
                    outcome = "settled",
                    via = via.name(),
                    "yookassa: top-up settled"
                );
                Ok(Resolution::Settled)
            }
            Err(error) => match mismatch(&error) {
                Some(mismatch) => Ok(refuse(payment_id, top_up.into(), mismatch)),
                None => Err(error.into()),
            },
        }
    }

    async fn cancel(
        &self,
        payment_id: &PaymentId,
        top_up: &TopUp,
        reason: &str,
        via: Via,
    ) -> Result<Resolution, PaymentError> {
        let outcome = match top_up.state {
            TopUpState::Cancelled => "repeated",
            TopUpState::Open | TopUpState::Settled => "cancelled",
        };
        match self.billing.cancel(top_up, reason).await {
            Ok(_) => {
                tracing::info!(
                    user.id = %top_up.user_id,
                    top_up.id = %top_up.id,
                    payment.id = %payment_id,
                    amount_kopecks = top_up.paid.amount.get(),
                    outcome,
                    reason,
                    via = via.name(),
                    "yookassa: top-up cancelled"
                );
                Ok(Resolution::Cancelled)
            }
            // What was credited stays credited.
            Err(error) if error.is(TOP_UP_SETTLED) => Ok(Resolution::Settled),
            Err(error) => Err(error.into()),
        }
    }
}

/// Which refusals of billing say that the payment is not the top-up's.
fn mismatch(error: &BillingError) -> Option<Mismatch> {
    let known = [
        (TOP_UP_AMOUNT_MISMATCH, Mismatch::Amount),
        (TOP_UP_PAYMENT_MISMATCH, Mismatch::Payment),
        (PAYMENT_ALREADY_CLAIMED, Mismatch::Payment),
    ];
    known.into_iter().find(|(code, _)| error.is(code)).map(|(_, mismatch)| mismatch)
}

fn refuse(payment_id: &PaymentId, owner: Owner, mismatch: Mismatch) -> Resolution {
    metrics::counter!("payments_refused_total", "mismatch" => mismatch.name()).increment(1);
    tracing::error!(
        user.id = %owner.user_id,
        top_up.id = %owner.top_up_id,
        payment.id = %payment_id,
        outcome = "refused",
        mismatch = %mismatch,
        "yookassa: payment is not what its top-up asked for, nothing credited"
    );
    Resolution::Refused(mismatch)
}

/// Reads a payment id out of an answer of theirs.
pub fn payment_id(payment: &Payment) -> Option<PaymentId> {
    PaymentId::from_str(&payment.id).ok()
}
