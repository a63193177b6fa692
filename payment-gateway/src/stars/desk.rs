//! What becomes of invoices, payments and refunds in Stars.
//!
//! Invariant: a charge is credited at most once, to the top-up of its invoice, with the amount that
//! was promised when the invoice was made. What can never be credited is given back, and a charge
//! that was given back has nothing left of its credit. In whatever order and however often the bot
//! tells of a payment and of its refund, the ledger ends the same.

use std::time::Duration;

use proto::reason::{
    IDEMPOTENCY_KEY_REUSED, PAYMENT_ALREADY_CLAIMED, TOP_UP_AMOUNT_MISMATCH, TOP_UP_NOT_FOUND,
    TOP_UP_PAYMENT_MISMATCH, TOP_UP_SETTLED,
};

use super::terms::{ChargeId, Rate, payload, top_up_of};
use crate::billing::{Billing, BillingError, NewTopUp, Paid, TopUp, TopUpState};
use crate::create::age;
use crate::error::StarsError;
use crate::ids::UserId;
use crate::money::Kopecks;
use crate::provider::{Look, Provider, Quote, QuoteError, STARS};

/// How long an invoice may be paid: the rate that it was made at must not be old.
const INVOICE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// An unpaid top-up ends so much later, when nobody can be between the question and the payment.
const END_AFTER: Duration = Duration::from_secs(25 * 3600);
/// Why it ended.
const EXPIRED: &str = "expired_on_confirmation";

/// A payment or a refund, as Telegram tells of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whose.
    pub user_id: UserId,
    /// What the invoice carried.
    pub payload: String,
    /// How much, in what.
    pub paid: Paid,
    /// Telegram's id of the payment.
    pub charge: ChargeId,
}

/// What becomes of a payment.
#[derive(Clone, Debug)]
pub enum Confirmed {
    /// Credited, now or before.
    Settled(Box<TopUp>),
    /// To be given back; says why.
    GiveBack(&'static str),
}

/// What becomes of a refund.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reversed {
    /// Taken back, now or before.
    Reversed,
    /// Nothing was credited.
    NothingCredited,
}

/// Takes Stars.
#[derive(Clone, Debug)]
pub struct Stars {
    billing: Billing,
    rate: Option<Rate>,
}

impl Stars {
    /// With no rate, none are offered; what is paid all the same is credited.
    pub fn new(billing: &Billing, rate: Option<Rate>) -> Self {
        Self { billing: billing.of(STARS), rate }
    }

    /// What a Star is worth now.
    pub fn rate(&self) -> Result<Rate, QuoteError> {
        self.rate.ok_or(QuoteError::StarsNotOffered)
    }

    /// Opens a top-up for an invoice, once for each key.
    pub async fn open(
        &self,
        user_id: UserId,
        quote: Quote,
        key: String,
    ) -> Result<TopUp, StarsError> {
        let Quote { paid, credited } = quote;
        // There is no request to repeat: the bot makes the invoice of what the top-up says.
        let new = NewTopUp { user_id, paid, credited, key, snapshot: Vec::new() };
        let top_up = self.billing.open(new).await?;
        log_step(&top_up, None, "created", "stars: invoice made");
        metrics::counter!("payments_created_total", "outcome" => "invoiced").increment(1);
        Ok(top_up)
    }

    /// Whether an invoice may be paid, by what billing knows of it.
    pub async fn check(
        &self,
        user_id: UserId,
        payload: &str,
        paid: &Paid,
    ) -> Result<(), StarsError> {
        self.rate()?;
        let refused = |reason| Err(StarsError::NotPayable(reason));
        let Some(id) = top_up_of(payload) else { return Err(StarsError::NotFound) };
        let top_up = self.billing.get(user_id, id).await?.ok_or(StarsError::NotFound)?;
        match top_up.state {
            TopUpState::Settled => refused(TOP_UP_SETTLED),
            TopUpState::Cancelled => refused(proto::reason::INVOICE_EXPIRED),
            TopUpState::Open if age(&top_up) > INVOICE_LIFE => {
                refused(proto::reason::INVOICE_EXPIRED)
            }
            TopUpState::Open if top_up.paid != *paid => refused(TOP_UP_AMOUNT_MISMATCH),
            TopUpState::Open => Ok(()),
        }
    }

    /// Credits what was paid, or says that it is to be given back.
    pub async fn confirm(&self, told: &Told) -> Result<Confirmed, StarsError> {
        let confirmed = self.settle(told).await;
        let outcome = match &confirmed {
            Ok(Confirmed::Settled(_)) => "settled",
            Ok(Confirmed::GiveBack(_)) => "refused",
            Err(_) => "unavailable",
        };
        metrics::counter!("payments_settled_total", "via" => STARS, "outcome" => outcome)
            .increment(1);
        if let Ok(Confirmed::GiveBack(mismatch)) = &confirmed {
            tracing::error!(
                user.id = %told.user_id,
                payment.id = %told.charge,
                outcome = "refused",
                mismatch,
                "stars: payment is of no invoice that waits for it, to be given back"
            );
        }
        confirmed
    }

    async fn settle(&self, told: &Told) -> Result<Confirmed, StarsError> {
        let Some(id) = top_up_of(&told.payload) else {
            return Ok(Confirmed::GiveBack(TOP_UP_NOT_FOUND));
        };
        let Some(top_up) = self.billing.get(told.user_id, id).await? else {
            return Ok(Confirmed::GiveBack(TOP_UP_NOT_FOUND));
        };
        if is_paid_by(&top_up, &told.charge) {
            log_step(&top_up, Some(&told.charge), "repeated", "stars: top-up was settled before");
            return Ok(Confirmed::Settled(Box::new(top_up)));
        }
        match self.billing.settle(&top_up, &told.charge, told.paid.clone()).await {
            Ok(_balance) => {
                log_step(&top_up, Some(&told.charge), "settled", "stars: top-up settled");
                Ok(Confirmed::Settled(Box::new(top_up)))
            }
            Err(error) => match mismatch(&error) {
                Some(reason) => Ok(Confirmed::GiveBack(reason)),
                None => Err(self.report(told, error)),
            },
        }
    }

    /// A charge that belongs to another top-up must not be given back without a look.
    fn report(&self, told: &Told, error: BillingError) -> StarsError {
        if error.is(PAYMENT_ALREADY_CLAIMED) {
            tracing::error!(
                user.id = %told.user_id,
                payment.id = %told.charge,
                outcome = "refused",
                "stars: charge was credited to another top-up, a person must look"
            );
        }
        error.into()
    }

    /// The payment of a charge that was credited.
    pub async fn find(&self, user_id: UserId, charge: &ChargeId) -> Result<TopUp, StarsError> {
        let top_ups = self.billing.settled_of(user_id).await?;
        top_ups.into_iter().find(|top_up| is_paid_by(top_up, charge)).ok_or(StarsError::NotFound)
    }

    /// Takes back what was credited for a charge whose Stars were given back.
    pub async fn reverse(&self, told: &Told) -> Result<Reversed, StarsError> {
        let reversed = self.take_back(told).await;
        let outcome = match &reversed {
            Ok(Reversed::Reversed) => "reversed",
            Ok(Reversed::NothingCredited) => "not_ours",
            Err(_) => "unavailable",
        };
        metrics::counter!("payments_refunds_total", "via" => STARS, "outcome" => outcome)
            .increment(1);
        reversed
    }

    async fn take_back(&self, told: &Told) -> Result<Reversed, StarsError> {
        // Stars that came and went before we heard of either: both belong in the ledger.
        let top_up = match self.settle(told).await? {
            Confirmed::Settled(top_up) => top_up,
            Confirmed::GiveBack(_) => return Ok(Reversed::NothingCredited),
        };
        match self.billing.reverse(&top_up, &told.charge, told.paid.clone()).await {
            Ok(_balance) => {
                log_step(&top_up, Some(&told.charge), "reversed", "stars: top-up reversed");
                Ok(Reversed::Reversed)
            }
            Err(error) => {
                if error.is(TOP_UP_AMOUNT_MISMATCH) || error.is(IDEMPOTENCY_KEY_REUSED) {
                    tracing::error!(
                        user.id = %told.user_id,
                        top_up.id = %top_up.id,
                        refund.id = %told.charge,
                        outcome = "refused",
                        mismatch = "amount",
                        "stars: refund is not of what its top-up has, nothing taken back"
                    );
                }
                Err(error.into())
            }
        }
    }
}

impl Provider for Stars {
    fn name(&self) -> &'static str {
        STARS
    }

    fn quote(&self, wanted: Kopecks) -> Result<Quote, QuoteError> {
        self.rate()?.quote(wanted)
    }

    fn first_look(&self) -> Duration {
        END_AFTER
    }

    /// There is nobody to ask: Telegram tells the bot of a payment until the bot has it. So an
    /// invoice that nobody paid in time ends, and a payment that comes yet is credited.
    async fn look(&self, top_up: TopUp) -> Look {
        if age(&top_up) < END_AFTER {
            return Look::Waits;
        }
        match self.billing.cancel(&top_up, EXPIRED).await {
            Ok(_) => {
                log_step(&top_up, None, "cancelled", "stars: invoice was not paid in time");
                Look::Ended
            }
            Err(error) if error.is(TOP_UP_SETTLED) => Look::Ended,
            Err(error) => {
                tracing::warn!(user.id = %top_up.user_id, top_up.id = %top_up.id,
                    error.cause = %error, "stars: open top-up could not be ended");
                Look::Unknown
            }
        }
    }
}

/// What a top-up asks for, in Stars.
pub fn stars(top_up: &TopUp) -> i64 {
    top_up.paid.amount.get()
}

/// What the invoice of a top-up carries.
pub fn payload_of(top_up: &TopUp) -> String {
    payload(top_up.id)
}

fn is_paid_by(top_up: &TopUp, charge: &ChargeId) -> bool {
    top_up.state == TopUpState::Settled && top_up.provider_payment_id == charge.to_string()
}

/// Which refusals of billing say that the charge can never be credited to the top-up.
fn mismatch(error: &BillingError) -> Option<&'static str> {
    [TOP_UP_AMOUNT_MISMATCH, TOP_UP_PAYMENT_MISMATCH].into_iter().find(|code| error.is(code))
}

fn log_step(top_up: &TopUp, charge: Option<&ChargeId>, outcome: &str, message: &'static str) {
    tracing::info!(
        user.id = %top_up.user_id,
        top_up.id = %top_up.id,
        payment.id = charge.map(tracing::field::display),
        amount_kopecks = top_up.credited.get(),
        stars = top_up.paid.amount.get(),
        outcome,
        "{message}"
    );
}
