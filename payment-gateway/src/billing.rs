//! What billing-svc keeps for us, in our words: top-ups. One function per call.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::time::{Duration, SystemTime};

use proto::billing::v1 as wire;
use proto::service::email::Email;
use proto::tls::identity::Identity;
use proto::{client, reason};
use tonic::{Code, Status};

use crate::ids::{PaymentId, RefundId, TopUpId, UserId};
use crate::money::Kopecks;
use crate::provider::YOOKASSA;

/// Somebody waits for each call: a user, or the sender of a notification.
const DEADLINE: Duration = Duration::from_secs(4);
const PAGE: i32 = 200;
/// As many entries as billing gives at once.
const STATEMENT_PAGE: i32 = 500;
/// More entries than one person makes in years.
const STATEMENT_PAGES_MAX: usize = 100;
/// What is told where a payment was cancelled without a reason.
const NO_REASON: &str = "canceled";
/// Billing's limit for a reason, in characters.
const REASON_LENGTH_MAX: usize = 128;

/// Where a top-up stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TopUpState {
    /// The user may pay.
    Open,
    /// Paid and credited.
    Settled,
    /// Ended without money.
    Cancelled,
}

/// What is paid at the provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paid {
    /// How much, in the smallest unit of the currency: kopecks, or whole Stars.
    pub amount: Kopecks,
    /// ISO 4217 code, or `XTR` for Stars.
    pub currency: String,
}

impl fmt::Display for Paid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount.to_roubles(), self.currency)
    }
}

/// Money on its way in.
#[derive(Clone, Debug)]
pub struct TopUp {
    /// Billing's.
    pub id: TopUpId,
    /// Who pays.
    pub user_id: UserId,
    /// Where it stands.
    pub state: TopUpState,
    /// What the user is asked for.
    pub paid: Paid,
    /// What is credited.
    pub credited: Kopecks,
    /// See [`crate::create`].
    pub snapshot: Vec<u8>,
    /// The payment at YooKassa, once known.
    pub payment_id: Option<PaymentId>,
    /// The payment as the provider calls it, whichever that is; empty until it is known.
    pub provider_payment_id: String,
    /// Where the user pays; empty until it is known.
    pub confirmation_url: String,
    /// Why it ended without money.
    pub cancel_reason: String,
    /// When it was opened.
    pub opened_at: SystemTime,
    /// What reversals have taken back of the credit, in kopecks.
    pub reversed_kopecks: i64,
    /// When it was settled or cancelled.
    pub ended_at: Option<SystemTime>,
    /// How many of the paid kopecks are known to have gone back.
    pub refunded_kopecks: i64,
}

/// What one refund has taken back of a top-up.
#[derive(Clone, Debug)]
pub struct Reversal {
    /// Whose top-up.
    pub user_id: UserId,
    /// Which.
    pub top_up_id: TopUpId,
    /// The refund at YooKassa.
    pub refund_id: RefundId,
    /// What went back there.
    pub refunded: Paid,
    /// When it was taken back here.
    pub at: SystemTime,
}

/// Why billing did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BillingError {
    /// It may have happened; the same call finds out.
    #[error("billing does not answer")]
    Unknown,
    /// It did not happen, and says why.
    #[error("billing refused: {}", .0.message())]
    Refused(Status),
    /// It answered with something that is not in the contract.
    #[error("billing's answer cannot be read")]
    Unreadable,
}

impl BillingError {
    /// Whether it was refused for this reason.
    pub fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused(status) if reason::of(status).as_deref() == Some(code))
    }
}

impl From<Status> for BillingError {
    fn from(status: Status) -> Self {
        // A full queue is not a refusal either: the same call works a moment later.
        if client::is_unknown(&status) || status.code() == Code::ResourceExhausted {
            Self::Unknown
        } else {
            Self::Refused(status)
        }
    }
}

/// What OpenTopUp needs.
#[derive(Debug)]
pub struct NewTopUp {
    /// Who pays.
    pub user_id: UserId,
    /// What is paid.
    pub paid: Paid,
    /// What is credited for it.
    pub credited: Kopecks,
    /// The caller's key.
    pub key: String,
    /// See [`crate::create`].
    pub snapshot: Vec<u8>,
}

/// Calls billing-svc for one provider: other providers' top-ups are not seen.
#[derive(Clone, Debug)]
pub struct Billing {
    inner: client::Billing,
    provider: &'static str,
}

impl Billing {
    /// Prepares the calls, for YooKassa; the first one connects.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn new(url: &str, identity: Option<&Identity>) -> Result<Self, client::BadAddress> {
        let channel = client::connect(url, identity)?;
        let inner = client::Billing::new(channel).with_deadline(DEADLINE);
        Ok(Self { inner, provider: YOOKASSA })
    }

    /// The same calls for another provider.
    #[must_use]
    pub fn of(&self, provider: &'static str) -> Self {
        Self { inner: self.inner.clone(), provider }
    }

    /// Where the user's receipts go; `None` if no address is known that they can be sent to.
    pub async fn receipt_email(&self, user: UserId) -> Result<Option<Email>, BillingError> {
        let request = wire::GetAccountRequest { user_id: user.get() };
        let account = self.inner.get_account(request).await?.account;
        let profile = account.ok_or(BillingError::Unreadable)?.profile.unwrap_or_default();
        Ok(profile.receipt_email.and_then(|email| email.parse().ok()))
    }

    /// Records money that is about to be asked for; a repeat answers with the first one.
    pub async fn open(&self, new: NewTopUp) -> Result<TopUp, BillingError> {
        let request = wire::OpenTopUpRequest {
            user_id: new.user_id.get(),
            provider: self.provider.to_owned(),
            credited_kopecks: new.credited.get(),
            paid: Some(new.paid.into()),
            idempotency_key: new.key,
            snapshot: new.snapshot,
        };
        read(self.inner.open_top_up(request).await?.top_up)
    }

    /// Keeps which payment was made, so that it can be asked about later.
    pub async fn record(
        &self,
        top_up: &TopUp,
        payment_id: &PaymentId,
        confirmation_url: &str,
    ) -> Result<TopUp, BillingError> {
        let request = wire::RecordTopUpPaymentRequest {
            user_id: top_up.user_id.get(),
            top_up_id: top_up.id.to_string(),
            provider_payment_id: payment_id.to_string(),
            confirmation_url: confirmation_url.to_owned(),
        };
        read(self.inner.record_top_up_payment(request).await?.top_up)
    }

    /// Credits what the payment brought, once; answers with the balance in kopecks.
    pub async fn settle(
        &self,
        top_up: &TopUp,
        payment_id: &impl Display,
        paid: Paid,
    ) -> Result<i64, BillingError> {
        let request = wire::SettleTopUpRequest {
            user_id: top_up.user_id.get(),
            top_up_id: top_up.id.to_string(),
            provider_payment_id: payment_id.to_string(),
            paid: Some(paid.into()),
        };
        let account = self.inner.settle_top_up(request).await?.account;
        Ok(account.ok_or(BillingError::Unreadable)?.balance_kopecks)
    }

    /// Takes back what the provider has paid back, once for each of its refunds; answers with the
    /// top-up and the balance in kopecks, which may be below zero.
    pub async fn reverse(
        &self,
        top_up: &TopUp,
        refund_id: &impl Display,
        refunded: Paid,
    ) -> Result<i64, BillingError> {
        let request = wire::ReverseTopUpRequest {
            user_id: top_up.user_id.get(),
            top_up_id: top_up.id.to_string(),
            provider_refund_id: refund_id.to_string(),
            refunded: Some(refunded.into()),
        };
        let account = self.inner.reverse_top_up(request).await?.account;
        Ok(account.ok_or(BillingError::Unreadable)?.balance_kopecks)
    }

    /// Ends a top-up without money.
    pub async fn cancel(&self, top_up: &TopUp, reason: &str) -> Result<TopUp, BillingError> {
        let request = wire::CancelTopUpRequest {
            user_id: top_up.user_id.get(),
            top_up_id: top_up.id.to_string(),
            reason: printable(reason),
        };
        read(self.inner.cancel_top_up(request).await?.top_up)
    }

    /// Reads a top-up; `None` if the user has no such one that is ours.
    pub async fn get(&self, user: UserId, id: TopUpId) -> Result<Option<TopUp>, BillingError> {
        let request = wire::GetTopUpRequest { user_id: user.get(), top_up_id: id.to_string() };
        let answer = match self.inner.get_top_up(request).await.map_err(BillingError::from) {
            Err(error)
                if error.is(reason::TOP_UP_NOT_FOUND) || error.is(reason::USER_NOT_FOUND) =>
            {
                return Ok(None);
            }
            answer => answer?.top_up,
        };
        if answer.as_ref().is_some_and(|top_up| top_up.provider != self.provider) {
            return Ok(None);
        }
        read(answer).map(Some)
    }

    /// Reads a page of the top-ups that are open since before a moment, oldest first, with the
    /// token of the next page.
    pub async fn list_open(
        &self,
        opened_before: SystemTime,
        page_token: String,
    ) -> Result<(Vec<TopUp>, String), BillingError> {
        let request = wire::ListOpenTopUpsRequest {
            provider: self.provider.to_owned(),
            opened_before: Some(opened_before.into()),
            page_size: PAGE,
            page_token,
        };
        let page = self.inner.list_open_top_ups(request).await?;
        let top_ups = page.top_ups.into_iter().filter_map(|top_up| {
            let id = top_up.top_up_id.clone();
            let readable = translate(top_up);
            if readable.is_none() {
                // The others must not wait for this one to be mended.
                tracing::error!(top_up.id = id, "billing's top-up is not in the contract");
            }
            readable
        });
        Ok((top_ups.collect(), page.next_page_token))
    }

    /// Reads a page of the top-ups that were settled in a span of time, with the token of the next
    /// page.
    pub async fn list_settled(
        &self,
        (from, to): (SystemTime, SystemTime),
        page_token: String,
    ) -> Result<(Vec<TopUp>, String), BillingError> {
        let request = wire::ListSettledTopUpsRequest {
            provider: self.provider.to_owned(),
            from: Some(from.into()),
            to: Some(to.into()),
            page_size: PAGE,
            page_token,
        };
        let page = self.inner.list_settled_top_ups(request).await?;
        let top_ups = page.top_ups.into_iter().map(translate).collect::<Option<_>>();
        Ok((top_ups.ok_or(BillingError::Unreadable)?, page.next_page_token))
    }

    /// Reads a page of what was taken back in a span of time, with the token of the next page.
    pub async fn list_reversals(
        &self,
        (from, to): (SystemTime, SystemTime),
        page_token: String,
    ) -> Result<(Vec<Reversal>, String), BillingError> {
        let request = wire::ListReversalsRequest {
            provider: self.provider.to_owned(),
            from: Some(from.into()),
            to: Some(to.into()),
            page_size: PAGE,
            page_token,
        };
        let page = self.inner.list_reversals(request).await?;
        let reversals = page.reversals.into_iter().map(reversal).collect::<Option<_>>();
        Ok((reversals.ok_or(BillingError::Unreadable)?, page.next_page_token))
    }
}

impl Billing {
    /// Reads the top-ups of a user that were credited, newest first.
    pub async fn settled_of(&self, user: UserId) -> Result<Vec<TopUp>, BillingError> {
        let mut top_ups = Vec::new();
        let mut known = BTreeSet::new();
        let mut page_token = String::new();
        for _ in 0..STATEMENT_PAGES_MAX {
            let request = wire::ListStatementRequest {
                user_id: user.get(),
                page_size: STATEMENT_PAGE,
                page_token,
                ..wire::ListStatementRequest::default()
            };
            let page = match self.inner.list_statement(request).await.map_err(BillingError::from) {
                Err(error) if error.is(reason::USER_NOT_FOUND) => break,
                page => page?,
            };
            let clearing = format!("clearing:{}", self.provider);
            for entry in page.entries {
                if entry.from_account == clearing && known.insert(entry.top_up_id.clone()) {
                    let id = entry.top_up_id.parse().map_err(|_| BillingError::Unreadable)?;
                    top_ups.extend(self.get(user, id).await?);
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(top_ups)
    }
}

/// A reason that billing takes, whatever the provider wrote.
fn printable(reason: &str) -> String {
    let kept: String = reason.chars().filter(|c| !c.is_control()).take(REASON_LENGTH_MAX).collect();
    if kept.trim().is_empty() { NO_REASON.to_owned() } else { kept }
}

impl From<Paid> for wire::ProviderAmount {
    fn from(paid: Paid) -> Self {
        Self { minor_units: paid.amount.get(), currency: paid.currency }
    }
}

/// Turns billing's words into ours.
fn read(top_up: Option<wire::TopUp>) -> Result<TopUp, BillingError> {
    top_up.and_then(translate).ok_or(BillingError::Unreadable)
}

fn translate(top_up: wire::TopUp) -> Option<TopUp> {
    let state = match top_up.state() {
        wire::TopUpState::Unspecified => return None,
        wire::TopUpState::Open => TopUpState::Open,
        wire::TopUpState::Settled => TopUpState::Settled,
        wire::TopUpState::Cancelled => TopUpState::Cancelled,
    };
    let paid = top_up.paid?;
    let payment_id = match top_up.provider_payment_id.as_str() {
        id if top_up.provider == YOOKASSA && !id.is_empty() => Some(id.parse().ok()?),
        _ => None,
    };
    Some(TopUp {
        id: top_up.top_up_id.parse().ok()?,
        user_id: UserId::new(top_up.user_id).ok()?,
        state,
        paid: Paid { amount: Kopecks::new(paid.minor_units).ok()?, currency: paid.currency },
        credited: Kopecks::new(top_up.credited_kopecks).ok()?,
        snapshot: top_up.snapshot,
        payment_id,
        provider_payment_id: top_up.provider_payment_id,
        confirmation_url: top_up.confirmation_url,
        cancel_reason: top_up.cancel_reason,
        opened_at: top_up.created_at?.try_into().ok()?,
        reversed_kopecks: top_up.reversed_kopecks,
        ended_at: top_up.ended_at.and_then(|it| it.try_into().ok()),
        refunded_kopecks: top_up.refunded_minor_units,
    })
}

fn reversal(reversal: wire::Reversal) -> Option<Reversal> {
    let refunded = reversal.refunded?;
    Some(Reversal {
        user_id: UserId::new(reversal.user_id).ok()?,
        top_up_id: reversal.top_up_id.parse().ok()?,
        refund_id: reversal.provider_refund_id.parse().ok()?,
        refunded: Paid {
            amount: Kopecks::new(refunded.minor_units).ok()?,
            currency: refunded.currency,
        },
        at: reversal.created_at?.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reason_becomes_one_that_billing_takes() {
        assert_eq!(printable("insufficient_funds"), "insufficient_funds");
        assert_eq!(printable(""), NO_REASON);
        assert_eq!(printable(" \n\0"), NO_REASON);
        assert_eq!(printable(&"я".repeat(500)).chars().count(), REASON_LENGTH_MAX);
    }
}
