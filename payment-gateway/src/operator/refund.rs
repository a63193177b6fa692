//! `payment-gateway refund`: money of a top-up goes back because an operator says so.
//!
//! Nothing is kept here, so everything follows from the command. The operator's key makes the
//! `Idempotence-Key` and stands on the refund at YooKassa: a repeat, also after a kill, first looks
//! for that refund among those of the payment, however old, and asks for one only where there is
//! none. YooKassa forgets keys after a day; what it made under them stays in its list for years.
//!
//! Invariant: one top-up and one key make at most one refund. A lost answer is asked for again with
//! the same key and the same bytes.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::error::RefundError;
use crate::billing::{Billing, Paid, TopUp, TopUpState};
use crate::config::RefundOptions;
use crate::error::PaymentError;
use crate::ids::{PaymentId, RefundId};
use crate::money::Kopecks;
use crate::receipt::{self, Receipts};
use crate::refund::{Refunds, Reversal};
use crate::resolve::{Owner, Resolver, Via};
use crate::yookassa::wire::{
    Amount, NewRefund, NewRefundMetadata, Payment, Receipt, Refund, RefundStatus,
};
use crate::yookassa::{Client, YookassaError};

/// Pauses begin with this, and double.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Refunds of one payment, a hundred on each page.
const PAGES_MAX: usize = 100;

/// Refunds what an operator orders.
#[derive(Debug)]
pub struct Refunder {
    billing: Billing,
    yookassa: Arc<Client>,
    resolver: Arc<Resolver>,
    refunds: Arc<Refunds>,
    receipts: Option<Receipts>,
}

/// What can be refunded of a top-up.
#[derive(Debug)]
struct Checked {
    top_up: TopUp,
    payment_id: PaymentId,
    payment: Payment,
    /// All refunds of the payment, also those that were refused.
    refunds: Vec<Refund>,
}

impl Refunder {
    /// Puts it together.
    pub fn new(
        billing: Billing,
        yookassa: Arc<Client>,
        resolver: Arc<Resolver>,
        refunds: Arc<Refunds>,
        receipts: Option<Receipts>,
    ) -> Self {
        Self { billing, yookassa, resolver, refunds, receipts }
    }

    /// Refunds, or goes on with the refund that the same order made before; tells `out` each step.
    ///
    /// # Errors
    /// When no money went back, or when that is not known yet.
    pub async fn refund(
        &self,
        order: &RefundOptions,
        out: &mut (impl Write + Send),
    ) -> Result<(), RefundError> {
        let mut steps = Steps(out);
        let give_up = Instant::now() + order.wait;
        let checked = self.check(order).await?;
        let refund = match earlier(&checked.refunds, &order.key) {
            Some(refund) => {
                steps.say(format_args!("this key has made refund {} before", refund.id));
                same_sum(refund, order)?;
                refund.clone()
            }
            None => {
                let sum = sum(&checked, order)?;
                steps.say(format_args!(
                    "payment {} of {}: refunding {} of {}",
                    checked.payment_id,
                    checked.top_up.paid,
                    sum,
                    Paid { amount: left(&checked)?, currency: sum.currency.clone() },
                ));
                if order.dry_run {
                    steps.say(format_args!("nothing was asked for: --dry-run"));
                    return Ok(());
                }
                self.ask(&checked, &sum, order, give_up).await?
            }
        };
        let id: RefundId = refund.id.parse().map_err(|_| RefundError::Unknown)?;
        self.follow(&id, refund, give_up, &mut steps).await?;
        self.take_back(&id, give_up).await?;
        steps.say(format_args!("refund {id} went through, and was taken back from the balance"));
        Ok(())
    }

    /// The dry check: what billing and YooKassa know of the top-up.
    async fn check(&self, order: &RefundOptions) -> Result<Checked, RefundError> {
        let top_up = self.settled(order).await?;
        let payment_id = top_up.payment_id.clone().ok_or(RefundError::NotSettled("not paid"))?;
        let payment = match self.yookassa.get(&payment_id).await {
            Ok(payment) => payment,
            Err(YookassaError::NotFound) => return Err(RefundError::NotRefundable),
            Err(YookassaError::Rejected(refusal)) => return Err(RefundError::Rejected(refusal)),
            Err(YookassaError::Unknown(_)) => return Err(RefundError::YookassaAway),
        };
        self.resolver
            .shop()
            .check(&payment, &top_up)
            .map_err(|mismatch| RefundError::Mismatch(payment_id.clone(), mismatch))?;
        let refunds = self.refunds_of(&payment_id).await.map_err(|_| RefundError::YookassaAway)?;
        Ok(Checked { top_up, payment_id, payment, refunds })
    }

    /// The top-up, if it was credited; where billing has not heard of the money yet, it does now.
    async fn settled(&self, order: &RefundOptions) -> Result<TopUp, RefundError> {
        let read = || async {
            let found = self.billing.get(order.user, order.top_up).await;
            found.map_err(RefundError::Billing)?.ok_or(RefundError::NoTopUp)
        };
        let mut top_up = read().await?;
        if top_up.state != TopUpState::Settled
            && let Some(payment_id) = &top_up.payment_id
        {
            let owner = Some(Owner::from(&top_up));
            match self.resolver.resolve(payment_id, owner, Via::Operator).await {
                Ok(_) => {}
                Err(PaymentError::Billing(error)) => return Err(RefundError::Billing(error)),
                Err(
                    PaymentError::ProviderRefused(_)
                    | PaymentError::ShopNotReady(_)
                    | PaymentError::ProviderUnavailable
                    | PaymentError::ProviderDown(_)
                    | PaymentError::ReceiptEmailRequired,
                ) => return Err(RefundError::YookassaAway),
            }
            top_up = read().await?;
        }
        match top_up.state {
            TopUpState::Settled => Ok(top_up),
            TopUpState::Open => Err(RefundError::NotSettled("open")),
            TopUpState::Cancelled => Err(RefundError::NotSettled("cancelled")),
        }
    }

    async fn refunds_of(&self, payment_id: &PaymentId) -> Result<Vec<Refund>, YookassaError> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.yookassa.refunds_of(payment_id, cursor.as_deref()).await?;
            all.extend(page.items.into_iter().filter(|it| it.payment_id == payment_id.to_string()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// The receipt that has to go with it. One whose payment had none goes to the address that the
    /// user has by now.
    async fn receipt(&self, top_up: &TopUp, sum: &Paid) -> Result<Option<Receipt>, RefundError> {
        let email = match &self.receipts {
            Some(_) => self.billing.receipt_email(top_up.user_id).await,
            None => Ok(None),
        };
        let email = email.map_err(RefundError::Billing)?;
        let now = self.receipts.as_ref().zip(email.as_ref());
        Ok(receipt::for_refund(top_up, sum, now))
    }

    /// Posts the request until it is answered.
    async fn ask(
        &self,
        checked: &Checked,
        sum: &Paid,
        order: &RefundOptions,
        give_up: Instant,
    ) -> Result<Refund, RefundError> {
        let receipt = self.receipt(&checked.top_up, sum).await?;
        let body = body(checked, sum, order, receipt);
        let key = idempotence_key(&checked.top_up, &order.key);
        let mut pause = PAUSE;
        loop {
            match self.yookassa.refund(&key, body.clone()).await {
                Ok(refund) if refund.payment_id == checked.payment_id.to_string() => {
                    return Ok(refund);
                }
                // The key made a refund from other bytes, so there may be one to be found.
                Err(YookassaError::Rejected(refusal)) if refusal.is_about_key() => {
                    let refunds = self.refunds_of(&checked.payment_id).await;
                    let refunds = refunds.map_err(|_| RefundError::Unknown)?;
                    let refund = earlier(&refunds, &order.key)
                        .ok_or_else(|| RefundError::KeyUsed(order.key.clone()))?;
                    same_sum(refund, order)?;
                    return Ok(refund.clone());
                }
                Err(YookassaError::Rejected(refusal)) => {
                    return Err(RefundError::Rejected(refusal));
                }
                Err(YookassaError::NotFound) => return Err(RefundError::NotRefundable),
                Ok(_) | Err(YookassaError::Unknown(_)) if Instant::now() + pause >= give_up => {
                    return Err(RefundError::Unknown);
                }
                Ok(_) | Err(YookassaError::Unknown(_)) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Looks at the refund, less and less often, until it has succeeded.
    async fn follow(
        &self,
        id: &RefundId,
        mut refund: Refund,
        give_up: Instant,
        steps: &mut Steps<'_, impl Write>,
    ) -> Result<(), RefundError> {
        let mut pause = PAUSE;
        loop {
            match refund.status {
                RefundStatus::Succeeded => return Ok(()),
                RefundStatus::Canceled => {
                    let reason = refund.cancellation_details.and_then(|it| it.reason);
                    let (id, reason) = (id.clone(), reason.unwrap_or_default());
                    return Err(RefundError::Cancelled { id, reason });
                }
                RefundStatus::Pending | RefundStatus::Unknown => {}
            }
            if Instant::now() + pause >= give_up {
                return Err(RefundError::Pending(id.clone()));
            }
            steps.say(format_args!("refund {id} is not decided yet"));
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            if let Ok(now) = self.yookassa.get_refund(id).await {
                refund = now;
            }
        }
    }

    /// Lowers the balance: the path that notifications and the reconciler walk too.
    async fn take_back(&self, id: &RefundId, give_up: Instant) -> Result<(), RefundError> {
        let mut pause = PAUSE;
        loop {
            match self.refunds.resolve(id, Via::Operator).await {
                Ok(Reversal::Reversed) => return Ok(()),
                Ok(Reversal::Refused | Reversal::NotOurs | Reversal::Cancelled) => {
                    return Err(RefundError::NotAccepted(id.clone()));
                }
                Ok(Reversal::Pending) | Err(_) if Instant::now() + pause >= give_up => {
                    return Err(RefundError::NotTakenBack(id.clone()));
                }
                Ok(Reversal::Pending) | Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Tells a person what is being done. One who has gone does not stop a refund.
struct Steps<'o, O>(&'o mut O);

impl<O: Write> Steps<'_, O> {
    fn say(&mut self, text: fmt::Arguments<'_>) {
        drop(writeln!(self.0, "{text}"));
    }
}

/// The refund that this key made.
fn earlier<'r>(refunds: &'r [Refund], key: &str) -> Option<&'r Refund> {
    refunds.iter().find(|refund| refund.metadata("refund_key") == Some(key))
}

/// A key is one refund, of one sum.
fn same_sum(refund: &Refund, order: &RefundOptions) -> Result<(), RefundError> {
    match order.amount {
        Some(asked) if amount(refund) != Some(asked) => {
            Err(RefundError::KeyUsed(order.key.clone()))
        }
        _ => Ok(()),
    }
}

fn amount(refund: &Refund) -> Option<Kopecks> {
    refund.amount.as_ref().and_then(|it| Kopecks::from_roubles(&it.value).ok())
}

/// What the order is over: what was asked for, or all that is left.
fn sum(checked: &Checked, order: &RefundOptions) -> Result<Paid, RefundError> {
    let left = left(checked)?;
    let currency = checked.top_up.paid.currency.clone();
    match order.amount {
        Some(asked) if asked > left => Err(RefundError::MoreThanLeft { asked, left }),
        asked => Ok(Paid { amount: asked.unwrap_or(left), currency }),
    }
}

/// What both sides still have of the payment. A refund that is not decided counts as gone.
fn left(checked: &Checked) -> Result<Kopecks, RefundError> {
    let gone = checked.refunds.iter().filter(|it| it.status != RefundStatus::Canceled);
    let gone: i64 = gone.filter_map(amount).map(Kopecks::get).sum();
    let gone = gone.max(checked.top_up.refunded_kopecks);
    let left = checked.top_up.paid.amount.get() - gone;
    let left = Kopecks::new(left).map_err(|_| RefundError::NothingLeft)?;
    if checked.payment.refundable == Some(false) {
        return Err(RefundError::NotRefundable);
    }
    Ok(left)
}

/// The body, the same for the same order as long as its receipt goes to the same address; YooKassa
/// refuses another one under the same key, and the refund is found.
fn body(checked: &Checked, sum: &Paid, order: &RefundOptions, receipt: Option<Receipt>) -> Bytes {
    let request = NewRefund {
        payment_id: checked.payment_id.to_string(),
        amount: Amount { value: sum.amount.to_roubles(), currency: sum.currency.clone() },
        description: &order.reason,
        metadata: NewRefundMetadata {
            user_id: checked.top_up.user_id.to_string(),
            top_up_id: checked.top_up.id.to_string(),
            refund_key: &order.key,
            actor: &order.actor,
        },
        receipt,
    };
    serde_json::to_vec(&request).expect("texts and a map of them are always JSON").into()
}

/// At most 64 characters of those that YooKassa takes, whatever the operator's key is.
fn idempotence_key(top_up: &TopUp, key: &str) -> String {
    format!("refund-{}", top_up.id.derive(key))
}
