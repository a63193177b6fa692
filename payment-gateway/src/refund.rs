//! What a refund at YooKassa means for its top-up: the one path that notifications, the reconciler,
//! the daily comparison and operators share.
//!
//! Invariant: a balance is taken from only for a refund that was read from YooKassa just now, that
//! has succeeded, and whose payment is a top-up's. Walking the path any number of times takes it
//! once: billing knows each refund by its id.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proto::reason::{IDEMPOTENCY_KEY_REUSED, TOP_UP_AMOUNT_MISMATCH};
use proto::service::shutdown::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

use crate::billing::{Billing, Paid, TopUp, TopUpState};
use crate::error::PaymentError;
use crate::ids::{PaymentId, RefundId};
use crate::money::Kopecks;
use crate::resolve::{Mismatch, Owner, Resolution, Resolver, Via};
use crate::yookassa::wire::{Refund, RefundStatus};
use crate::yookassa::{Client, YookassaError};

/// How far back lists are read: notifications are sent again for a day, and a refund by bank may
/// be decided on the next.
const LOOK_BACK: Duration = Duration::from_secs(3 * 86_400);
/// Pages of a hundred; a shop with more refunds in [`LOOK_BACK`] has them from notifications.
const PAGES_MAX: usize = 50;
/// Refunds that are remembered as dealt with; forgetting them costs a look each.
const KNOWN_MAX: usize = 100_000;

/// Refunds that one round may fail at: one that cannot be looked at does not hold up the others, and
/// a provider that is away is not asked about each.
const FAILURES_MAX: usize = 3;

/// What became of a refund's top-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reversal {
    /// Taken back, now or before.
    Reversed,
    /// Not decided yet.
    Pending,
    /// Nothing went back.
    Cancelled,
    /// Not a refund of ours.
    NotOurs,
    /// Not what the top-up allows. Nothing was moved; a person must look.
    Refused,
}

/// Looks refunds up and lets billing know.
#[derive(Debug)]
pub struct Refunds {
    billing: Billing,
    yookassa: Arc<Client>,
    resolver: Arc<Resolver>,
}

impl Refunds {
    /// Puts it together.
    pub fn new(billing: Billing, yookassa: Arc<Client>, resolver: Arc<Resolver>) -> Self {
        Self { billing, yookassa, resolver }
    }

    /// Asks YooKassa about a refund, and reverses its top-up by the answer.
    pub async fn resolve(&self, id: &RefundId, via: Via) -> Result<Reversal, PaymentError> {
        let refund = match self.yookassa.get_refund(id).await {
            // What is applied is what was asked about, whatever the answer calls itself.
            Ok(refund) if refund.id == id.to_string() => refund,
            Ok(_) | Err(YookassaError::NotFound) => return Ok(counted(Reversal::NotOurs, via)),
            Err(YookassaError::Rejected(_) | YookassaError::Unknown(_)) => {
                return Err(PaymentError::ProviderUnavailable);
            }
        };
        self.apply(id, &refund, via).await
    }

    /// Reads the latest refunds every so often until `shutdown`: those whose notification never
    /// came, and those that were pending.
    pub async fn run(&self, every: Duration, shutdown: &Shutdown) {
        let mut known = HashSet::new();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let round = async {
                ticks.tick().await;
                self.round(&mut known).await
            };
            match shutdown.until(round).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(error.cause = %error, "yookassa: refunds cannot be looked at");
                }
            }
        }
    }

    /// Looks at the refunds that are not known to be dealt with, newest first, until a whole page
    /// is.
    async fn round(&self, known: &mut HashSet<RefundId>) -> Result<(), PaymentError> {
        let now = SystemTime::now();
        let mut cursor: Option<String> = None;
        let mut failures = 0;
        for _ in 0..PAGES_MAX {
            let span = (now - LOOK_BACK, now);
            let page = self.yookassa.list_refunds(span, cursor.as_deref()).await;
            let page = page.map_err(|_| PaymentError::ProviderUnavailable)?;
            let mut is_all_known = true;
            for refund in &page.items {
                let Ok(id) = refund.id.parse::<RefundId>() else { continue };
                if known.contains(&id) {
                    continue;
                }
                is_all_known = false;
                match self.apply(&id, refund, Via::Reconciler).await {
                    Ok(Reversal::Pending) => {}
                    Ok(_) => drop(known.insert(id)),
                    Err(error) => {
                        failures += 1;
                        if failures == FAILURES_MAX {
                            return Err(error);
                        }
                        tracing::warn!(refund.id = %id, error.cause = %error,
                            "yookassa: refund cannot be looked at now");
                    }
                }
            }
            cursor = page.next_cursor;
            if is_all_known || cursor.is_none() {
                break;
            }
        }
        if known.len() > KNOWN_MAX {
            known.clear();
        }
        Ok(())
    }

    async fn apply(
        &self,
        id: &RefundId,
        refund: &Refund,
        via: Via,
    ) -> Result<Reversal, PaymentError> {
        let reversal = match refund.status {
            RefundStatus::Pending | RefundStatus::Unknown => Reversal::Pending,
            RefundStatus::Canceled => {
                tracing::warn!(refund.id = %id, payment.id = refund.payment_id,
                    outcome = "cancelled", "yookassa: a refund was refused, nothing went back");
                Reversal::Cancelled
            }
            RefundStatus::Succeeded => self.reverse(id, refund, via).await?,
        };
        Ok(counted(reversal, via))
    }

    async fn reverse(
        &self,
        id: &RefundId,
        refund: &Refund,
        via: Via,
    ) -> Result<Reversal, PaymentError> {
        let Ok(payment_id) = refund.payment_id.parse::<PaymentId>() else {
            return Ok(Reversal::NotOurs);
        };
        let payment = match self.yookassa.get(&payment_id).await {
            Ok(payment) => payment,
            Err(YookassaError::NotFound) => return Ok(Reversal::NotOurs),
            Err(YookassaError::Rejected(_) | YookassaError::Unknown(_)) => {
                return Err(PaymentError::ProviderUnavailable);
            }
        };
        let Some(owner) = Owner::of(&payment).filter(|_| payment.id == refund.payment_id) else {
            return Ok(Reversal::NotOurs);
        };
        let Some(mut top_up) = self.billing.get(owner.user_id, owner.top_up_id).await? else {
            return Ok(refuse(id, owner, Mismatch::TopUp));
        };
        if let Err(mismatch) = self.resolver.shop().check(&payment, &top_up) {
            return Ok(refuse(id, owner, mismatch));
        }
        if top_up.state != TopUpState::Settled {
            // Money that came and went before we heard of either: both belong in the ledger.
            match self.resolver.resolve(&payment_id, Some(owner), via).await? {
                Resolution::Settled => {}
                Resolution::Pending | Resolution::Cancelled => return Ok(Reversal::Pending),
                Resolution::NotOurs => return Ok(Reversal::NotOurs),
                Resolution::Refused(_) => return Ok(Reversal::Refused),
            }
            top_up.state = TopUpState::Settled;
        }
        let amount = refund.amount.as_ref().map(|amount| {
            Kopecks::from_roubles(&amount.value).map(|kopecks| (kopecks, amount.currency.clone()))
        });
        let Some(Ok((amount, currency))) = amount else {
            return Ok(refuse(id, owner, Mismatch::Amount));
        };
        self.take_back(id, &top_up, Paid { amount, currency }).await
    }

    async fn take_back(
        &self,
        id: &RefundId,
        top_up: &TopUp,
        refunded: Paid,
    ) -> Result<Reversal, PaymentError> {
        let amount_kopecks = refunded.amount.get();
        match self.billing.reverse(top_up, id, refunded).await {
            Ok(balance_kopecks) => {
                tracing::info!(
                    user.id = %top_up.user_id,
                    top_up.id = %top_up.id,
                    refund.id = %id,
                    amount_kopecks,
                    balance_kopecks,
                    outcome = "reversed",
                    "yookassa: top-up reversed"
                );
                Ok(Reversal::Reversed)
            }
            Err(error) if error.is(TOP_UP_AMOUNT_MISMATCH) || error.is(IDEMPOTENCY_KEY_REUSED) => {
                Ok(refuse(id, top_up.into(), Mismatch::Amount))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn refuse(id: &RefundId, owner: Owner, mismatch: Mismatch) -> Reversal {
    tracing::error!(
        user.id = %owner.user_id,
        top_up.id = %owner.top_up_id,
        refund.id = %id,
        outcome = "refused",
        mismatch = %mismatch,
        "yookassa: refund is not of what its top-up has, nothing taken back"
    );
    Reversal::Refused
}

fn counted(reversal: Reversal, via: Via) -> Reversal {
    let outcome = match reversal {
        Reversal::Reversed => "reversed",
        Reversal::Pending => "pending",
        Reversal::Cancelled => "cancelled",
        Reversal::NotOurs => "not_ours",
        Reversal::Refused => "refused",
    };
    metrics::counter!("payments_refunds_total", "via" => via.name(), "outcome" => outcome)
        .increment(1);
    reversal
}
