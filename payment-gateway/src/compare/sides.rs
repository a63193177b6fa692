//! The lists of both sides for a span of time.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::billing::{Billing, Reversal, TopUp};
use crate::error::PaymentError;
use crate::ids::{PaymentId, RefundId, TopUpId};
use crate::yookassa::Client;
use crate::yookassa::wire::{Payment, Refund};

/// So far beyond the span both sides are read: what one side has just inside, the other may have
/// just outside, since crediting follows paying. What lies further is asked for alone.
const MARGIN: Duration = Duration::from_secs(3600);
/// Pages of a hundred. More in one span are compared in shorter ones.
const PAGES_MAX: usize = 2_000;

/// From when, and until when, which is not included.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first moment.
    pub from: SystemTime,
    /// The first moment after it.
    pub to: SystemTime,
}

impl Span {
    pub(super) fn contains(self, at: SystemTime) -> bool {
        (self.from..self.to).contains(&at)
    }

    fn with_margin(self) -> (SystemTime, SystemTime) {
        let from = self.from.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH);
        (from.max(SystemTime::UNIX_EPOCH), self.to + MARGIN)
    }
}

/// Why the two sides could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One side did not answer, or with something that cannot be read.
    #[error(transparent)]
    Payment(#[from] PaymentError),
    /// More than can be held against each other at once.
    #[error("too many payments in this span of time; compare fewer days at once")]
    TooMany,
}

/// Everything that both sides have of a span and around it.
#[derive(Debug)]
pub(super) struct Sides {
    /// YooKassa: paid.
    pub(super) payments: HashMap<PaymentId, Payment>,
    /// YooKassa: refunds, in any state.
    pub(super) refunds: HashMap<RefundId, Refund>,
    /// Billing: credited.
    pub(super) top_ups: HashMap<TopUpId, TopUp>,
    /// Billing: taken back.
    pub(super) reversals: HashMap<RefundId, Reversal>,
}

impl Sides {
    /// Reads billing first: what comes meanwhile is then on YooKassa's side, where it is looked at
    /// once more before anything is said of it.
    pub(super) async fn read(
        billing: &Billing,
        yookassa: &Client,
        span: Span,
    ) -> Result<Self, CompareError> {
        let around = span.with_margin();
        let top_ups = settled(billing, around).await?;
        let reversals = reversals(billing, around).await?;
        let payments = payments(yookassa, around).await?;
        let refunds = refunds(yookassa, around).await?;
        Ok(Self { payments, refunds, top_ups, reversals })
    }
}

type Around = (SystemTime, SystemTime);

async fn settled(
    billing: &Billing,
    around: Around,
) -> Result<HashMap<TopUpId, TopUp>, CompareError> {
    let mut all = HashMap::new();
    let mut token = String::new();
    for _ in 0..PAGES_MAX {
        let (page, next) =
            billing.list_settled(around, token).await.map_err(PaymentError::Billing)?;
        all.extend(page.into_iter().map(|top_up| (top_up.id, top_up)));
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
    Err(CompareError::TooMany)
}

async fn reversals(
    billing: &Billing,
    around: Around,
) -> Result<HashMap<RefundId, Reversal>, CompareError> {
    let mut all = HashMap::new();
    let mut token = String::new();
    for _ in 0..PAGES_MAX {
        let (page, next) =
            billing.list_reversals(around, token).await.map_err(PaymentError::Billing)?;
        all.extend(page.into_iter().map(|reversal| (reversal.refund_id.clone(), reversal)));
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
    Err(CompareError::TooMany)
}

async fn payments(
    yookassa: &Client,
    around: Around,
) -> Result<HashMap<PaymentId, Payment>, CompareError> {
    let mut all = HashMap::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = yookassa.list_taken(around, cursor.as_deref()).await.map_err(|_| away())?;
        for payment in page.items {
            all.insert(payment.id.parse().map_err(|_| away())?, payment);
        }
        if page.next_cursor.is_none() {
            return Ok(all);
        }
        cursor = page.next_cursor;
    }
    Err(CompareError::TooMany)
}

async fn refunds(
    yookassa: &Client,
    around: Around,
) -> Result<HashMap<RefundId, Refund>, CompareError> {
    let mut all = HashMap::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = yookassa.list_refunds(around, cursor.as_deref()).await.map_err(|_| away())?;
        for refund in page.items {
            all.insert(refund.id.parse().map_err(|_| away())?, refund);
        }
        if page.next_cursor.is_none() {
            return Ok(all);
        }
        cursor = page.next_cursor;
    }
    Err(CompareError::TooMany)
}

/// Their refusals and their silence come to the same: the two sides cannot be compared.
pub(super) fn away() -> CompareError {
    PaymentError::ProviderUnavailable.into()
}

/// A moment as YooKassa writes it.
pub(super) fn moment(text: Option<&str>) -> Option<SystemTime> {
    OffsetDateTime::parse(text?, &Rfc3339).ok().map(SystemTime::from)
}
