//! Holds each side's list against the other's, both ways.
//!
//! Invariant: nothing differs only because of where a span begins or ends. What one side's list has
//! and the other's has not is asked for alone before anything is said of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::difference::{Difference, Kind, owner_of, settled_at};
use super::sides::{CompareError, Sides, Span, away, moment};
use crate::billing::{Billing, Paid, Reversal, TopUp, TopUpState};
use crate::error::PaymentError;
use crate::ids::{PaymentId, RefundId};
use crate::money::Kopecks;
use crate::resolve::{Mismatch, Owner, Resolver};
use crate::yookassa::wire::{Amount, Payment, Refund, RefundStatus, Status};
use crate::yookassa::{Client, YookassaError};

/// Money that came or went less than this ago may be on its way to us still.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// What was compared, and what differs.
#[derive(Debug, Default)]
pub struct Report {
    /// What differs, the oldest first.
    pub differences: Vec<Difference>,
    /// Payments at YooKassa in the span.
    pub payments: usize,
    /// Top-ups that were credited here in the span.
    pub top_ups: usize,
    /// Refunds at YooKassa in the span.
    pub refunds: usize,
    /// What was taken back here in the span, by refunds.
    pub reversals: usize,
    /// Payments and refunds of the shop that are not for top-ups of ours.
    pub foreign: usize,
    /// Payments and refunds that are so new that notifications of them may be under way.
    pub on_their_way: usize,
}

/// Compares the two sides.
#[derive(Debug)]
pub struct Comparison {
    billing: Billing,
    yookassa: Arc<Client>,
    resolver: Arc<Resolver>,
}

impl Comparison {
    /// Puts it together.
    pub fn new(billing: Billing, yookassa: Arc<Client>, resolver: Arc<Resolver>) -> Self {
        Self { billing, yookassa, resolver }
    }

    /// Compares what happened in a span of time. Changes nothing.
    ///
    /// # Errors
    /// When one side does not answer, or has more than can be compared at once.
    pub async fn look(&self, span: Span) -> Result<Report, CompareError> {
        let sides = Sides::read(&self.billing, &self.yookassa, span).await?;
        let mut look = Look {
            comparison: self,
            sides: &sides,
            span,
            now: SystemTime::now(),
            compared: HashSet::new(),
            report: Report::default(),
        };
        look.payments().await?;
        look.top_ups().await?;
        look.refunds().await?;
        look.reversals().await?;
        let mut report = look.report;
        report.differences.sort_by_key(|difference| difference.at);
        Ok(report)
    }

    async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, CompareError> {
        match self.yookassa.get(id).await {
            Ok(payment) => Ok(Some(payment)),
            Err(YookassaError::NotFound) => Ok(None),
            Err(YookassaError::Rejected(_) | YookassaError::Unknown(_)) => Err(away()),
        }
    }

    async fn top_up(&self, owner: Owner) -> Result<Option<TopUp>, CompareError> {
        let found = self.billing.get(owner.user_id, owner.top_up_id).await;
        Ok(found.map_err(PaymentError::Billing)?)
    }
}

/// A comparison that is under way.
struct Look<'s> {
    comparison: &'s Comparison,
    sides: &'s Sides,
    span: Span,
    now: SystemTime,
    /// Payments that were held against their top-up.
    compared: HashSet<PaymentId>,
    report: Report,
}

impl Look<'_> {
    /// What was paid there is credited here.
    async fn payments(&mut self) -> Result<(), CompareError> {
        for (id, payment) in &self.sides.payments {
            // Their list is of paid ones; one that does not say when was paid at no other time.
            let at = moment(payment.captured_at.as_deref()).unwrap_or(self.span.from);
            if !self.span.contains(at) {
                continue;
            }
            self.report.payments += 1;
            let Some(owner) = Owner::of(payment) else {
                self.report.foreign += 1;
                continue;
            };
            self.compared.insert(id.clone());
            let top_up = match self.sides.top_ups.get(&owner.top_up_id) {
                Some(top_up) if top_up.user_id == owner.user_id => Some(top_up.clone()),
                _ => self.comparison.top_up(owner).await?,
            };
            let subject = (owner, id);
            let there = sum(payment.amount.as_ref());
            let Some(top_up) = top_up else {
                self.add(Difference::payment(Kind::NoTopUp, subject, (there, "-"), at));
                continue;
            };
            match self.comparison.resolver.shop().check(payment, &top_up) {
                Err(mismatch) => self.add(differing(subject, (payment, &top_up), mismatch, at)),
                Ok(_) if top_up.state == TopUpState::Settled => {}
                Ok(_) if self.is_on_its_way(at) => self.report.on_their_way += 1,
                Ok(_) => {
                    let here = state(&top_up);
                    self.add(Difference::payment(Kind::NotCredited, subject, (there, here), at));
                }
            }
        }
        Ok(())
    }

    /// What was credited here was paid there.
    async fn top_ups(&mut self) -> Result<(), CompareError> {
        for top_up in self.sides.top_ups.values() {
            let at = settled_at(top_up);
            if !self.span.contains(at) {
                continue;
            }
            self.report.top_ups += 1;
            let Some(id) = &top_up.payment_id else { continue };
            if self.compared.contains(id) {
                continue;
            }
            let payment = match self.sides.payments.get(id) {
                Some(payment) => Some(payment.clone()),
                None => self.comparison.payment(id).await?,
            };
            let subject = (Owner::from(top_up), id);
            let here = format!("credited for {}", top_up.paid);
            match payment {
                None => self.add(Difference::payment(Kind::NotPaid, subject, ("-", here), at)),
                Some(payment) if payment.status != Status::Succeeded => {
                    let there = format!("{:?}", payment.status).to_lowercase();
                    self.add(Difference::payment(Kind::NotPaid, subject, (there, here), at));
                }
                Some(payment) => {
                    if let Err(mismatch) = self.comparison.resolver.shop().check(&payment, top_up) {
                        self.add(differing(subject, (&payment, top_up), mismatch, at));
                    }
                }
            }
        }
        Ok(())
    }

    /// What went back there was taken back here.
    async fn refunds(&mut self) -> Result<(), CompareError> {
        for (id, refund) in &self.sides.refunds {
            let at = moment(refund.created_at.as_deref()).unwrap_or(self.span.from);
            if refund.status != RefundStatus::Succeeded || !self.span.contains(at) {
                continue;
            }
            self.report.refunds += 1;
            if let Some(reversal) = self.sides.reversals.get(id) {
                self.compare_refund(id, refund, reversal);
                continue;
            }
            let Some(owner) = self.owner_of(refund).await? else {
                self.report.foreign += 1;
                continue;
            };
            let there = format!("refunded {}", sum(refund.amount.as_ref()));
            let subject = (owner, id);
            match self.comparison.top_up(owner).await? {
                None => self.add(Difference::refund(Kind::NotReversed, subject, (there, "-"), at)),
                Some(top_up) if self.all_taken_back(refund, &top_up).await? => {}
                Some(_) if self.is_on_its_way(at) => self.report.on_their_way += 1,
                Some(top_up) => {
                    let here = state(&top_up);
                    self.add(Difference::refund(Kind::NotReversed, subject, (there, here), at));
                }
            }
        }
        Ok(())
    }

    /// What was taken back here went back there.
    async fn reversals(&mut self) -> Result<(), CompareError> {
        for (id, reversal) in &self.sides.reversals {
            if !self.span.contains(reversal.at) {
                continue;
            }
            self.report.reversals += 1;
            if self.sides.refunds.get(id).is_some_and(|it| it.status == RefundStatus::Succeeded) {
                // Compared above, or in the span that it belongs to.
                continue;
            }
            let refund = match self.comparison.yookassa.get_refund(id).await {
                Ok(refund) => Some(refund),
                Err(YookassaError::NotFound) => None,
                Err(YookassaError::Rejected(_) | YookassaError::Unknown(_)) => return Err(away()),
            };
            let subject = (owner_of(reversal), id);
            let here = format!("took back {}", reversal.refunded);
            match refund {
                Some(refund) if refund.status == RefundStatus::Succeeded => {
                    self.compare_refund(id, &refund, reversal);
                }
                refund => {
                    let there = refund.map_or("-".to_owned(), |refund| {
                        format!("{:?}", refund.status).to_lowercase()
                    });
                    let sides = (there, here);
                    self.add(Difference::refund(Kind::NotRefunded, subject, sides, reversal.at));
                }
            }
        }
        Ok(())
    }

    fn compare_refund(&mut self, id: &RefundId, refund: &Refund, reversal: &Reversal) {
        if paid(refund.amount.as_ref()).as_ref() == Some(&reversal.refunded) {
            return;
        }
        let sides = (
            format!("refunded {}", sum(refund.amount.as_ref())),
            format!("took back {}", reversal.refunded),
        );
        let subject = (owner_of(reversal), id);
        self.add(Difference::refund(Kind::RefundDiffers, subject, sides, reversal.at));
    }

    /// Whose money a refund gave back, by its payment; `None` where it is not ours.
    async fn owner_of(&self, refund: &Refund) -> Result<Option<Owner>, CompareError> {
        let Ok(id) = refund.payment_id.parse::<PaymentId>() else { return Ok(None) };
        if let Some(payment) = self.sides.payments.get(&id) {
            return Ok(Owner::of(payment));
        }
        Ok(self.comparison.payment(&id).await?.as_ref().and_then(Owner::of))
    }

    /// Whether the refund was taken back at another time: then all refunds of the payment come to
    /// what was taken back of its top-up.
    async fn all_taken_back(&self, refund: &Refund, top_up: &TopUp) -> Result<bool, CompareError> {
        let Ok(id) = refund.payment_id.parse::<PaymentId>() else { return Ok(false) };
        let mut kopecks = 0;
        let mut cursor: Option<String> = None;
        loop {
            let page = self.comparison.yookassa.refunds_of(&id, cursor.as_deref()).await;
            let page = page.map_err(|_| away())?;
            let gone = page.items.iter().filter(|it| it.status == RefundStatus::Succeeded);
            let gone = gone.filter_map(|it| paid(it.amount.as_ref()));
            kopecks += gone.map(|it| it.amount.get()).sum::<i64>();
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(kopecks == top_up.refunded_kopecks);
            }
        }
    }

    fn is_on_its_way(&self, at: SystemTime) -> bool {
        self.now.duration_since(at).unwrap_or_default() < ON_ITS_WAY
    }

    fn add(&mut self, difference: Difference) {
        self.report.differences.push(difference);
    }
}

fn differing(
    subject: (Owner, &PaymentId),
    (payment, top_up): (&Payment, &TopUp),
    mismatch: Mismatch,
    at: SystemTime,
) -> Difference {
    let there = format!("{} (differs: {mismatch})", sum(payment.amount.as_ref()));
    Difference::payment(Kind::PaymentDiffers, subject, (there, state(top_up)), at)
}

fn state(top_up: &TopUp) -> String {
    let state = match top_up.state {
        TopUpState::Open => "open",
        TopUpState::Settled => "credited for",
        TopUpState::Cancelled => "cancelled",
    };
    format!("{state} {}", top_up.paid)
}

fn sum(amount: Option<&Amount>) -> String {
    amount.map_or_else(|| "?".to_owned(), |it| format!("{} {}", it.value, it.currency))
}

fn paid(amount: Option<&Amount>) -> Option<Paid> {
    let amount = amount?;
    let kopecks = Kopecks::from_roubles(&amount.value).ok()?;
    Some(Paid { amount: kopecks, currency: amount.currency.clone() })
}
