//! Why a payment did not come about or could not be looked at; and, the only place, what a caller
//! is told of it.

use std::collections::HashMap;
use std::time::Duration;

use proto::reason::{
    AMOUNT_OUT_OF_RANGE, BILLING_UNAVAILABLE, PAYMENTS_DOMAIN, PROVIDER_DOWN, PROVIDER_REFUSED,
    PROVIDER_UNAVAILABLE, RECEIPT_EMAIL_REQUIRED, SHOP_NOT_READY, STARS_NOT_OFFERED,
    TOP_UP_NOT_FOUND, refusal,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::billing::BillingError;
use crate::provider::QuoteError;
use crate::yookassa::{Unknown, YookassaError};

/// While the provider is down, callers are asked to come back no sooner: it is longer than the
/// thin client waits by itself, so a person is told at once.
const DOWN_RETRY_MIN: Duration = Duration::from_secs(10);

/// Why a payment did not come about, or could not be looked at.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PaymentError {
    /// YooKassa will not take the payment; nothing was charged.
    #[error("the provider refused the payment: {0}")]
    ProviderRefused(String),
    /// YooKassa takes no payment because of the shop's settings, there or here; nothing was
    /// charged.
    #[error("the provider takes no payments for this shop: {0}")]
    ShopNotReady(String),
    /// The same request later finds out what became of it.
    #[error("the provider does not answer")]
    ProviderUnavailable,
    /// It has not been answering, and is not asked for so long. The same request later finds out
    /// what became of it.
    #[error("the provider has not been answering and is not asked now")]
    ProviderDown(Duration),
    /// A receipt must be sent, and there is no address for it.
    #[error("a receipt must be sent, and the user's profile has no e-mail address for it")]
    ReceiptEmailRequired,
    /// Billing was asked and did not do it.
    #[error(transparent)]
    Billing(#[from] BillingError),
}

impl PaymentError {
    /// A call that did not tell what we wanted to know.
    pub fn unanswered(error: &YookassaError) -> Self {
        match error {
            YookassaError::Unknown(Unknown::Down(retry_after)) => Self::ProviderDown(*retry_after),
            YookassaError::Unknown(_) | YookassaError::Rejected(_) | YookassaError::NotFound => {
                Self::ProviderUnavailable
            }
        }
    }
}

impl From<PaymentError> for Status {
    fn from(error: PaymentError) -> Self {
        let message = error.to_string();
        let unavailable =
            |reason| refusal(Code::Unavailable, (PAYMENTS_DOMAIN, reason), message.clone(), []);
        match error {
            PaymentError::ProviderRefused(provider_reason) => refusal(
                Code::FailedPrecondition,
                (PAYMENTS_DOMAIN, PROVIDER_REFUSED),
                message,
                [("provider_reason", provider_reason)],
            ),
            PaymentError::ShopNotReady(provider_reason) => refusal(
                Code::FailedPrecondition,
                (PAYMENTS_DOMAIN, SHOP_NOT_READY),
                message,
                [("provider_reason", provider_reason)],
            ),
            PaymentError::ReceiptEmailRequired => refusal(
                Code::FailedPrecondition,
                (PAYMENTS_DOMAIN, RECEIPT_EMAIL_REQUIRED),
                message,
                [],
            ),
            PaymentError::ProviderUnavailable => unavailable(PROVIDER_UNAVAILABLE),
            PaymentError::ProviderDown(retry_after) => down(&message, retry_after),
            PaymentError::Billing(BillingError::Unknown) => {
                tracing::warn!("billing does not answer");
                unavailable(BILLING_UNAVAILABLE)
            }
            PaymentError::Billing(BillingError::Refused(status)) => pass_on(&status),
            PaymentError::Billing(BillingError::Unreadable) => {
                tracing::error!("billing's answer is not in the contract");
                Status::internal(message)
            }
        }
    }
}

fn down(message: &str, retry_after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(PROVIDER_DOWN, PAYMENTS_DOMAIN, HashMap::new());
    details.set_retry_info(Some(retry_after.max(DOWN_RETRY_MIN)));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// Why an invoice or a payment in Stars was not dealt with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StarsError {
    /// No invoice is made.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// The user has no such invoice, or no such payment.
    #[error("the user has no such top-up")]
    NotFound,
    /// The invoice must not be paid now, for that reason code.
    #[error("the invoice cannot be paid: {0}")]
    NotPayable(&'static str),
    /// Billing was asked and did not do it.
    #[error(transparent)]
    Billing(#[from] BillingError),
}

impl From<StarsError> for Status {
    fn from(error: StarsError) -> Self {
        let message = error.to_string();
        match error {
            StarsError::Quote(error) => error.into(),
            StarsError::NotFound => {
                refusal(Code::NotFound, (PAYMENTS_DOMAIN, TOP_UP_NOT_FOUND), message, [])
            }
            StarsError::NotPayable(reason) => {
                refusal(Code::FailedPrecondition, (PAYMENTS_DOMAIN, reason), message, [])
            }
            StarsError::Billing(error) => PaymentError::Billing(error).into(),
        }
    }
}

impl From<QuoteError> for Status {
    fn from(error: QuoteError) -> Self {
        let message = error.to_string();
        match error {
            QuoteError::OutOfBounds { min, max } => refusal(
                Code::InvalidArgument,
                (PAYMENTS_DOMAIN, AMOUNT_OUT_OF_RANGE),
                message,
                [("min_kopecks", min.to_string()), ("max_kopecks", max.to_string())],
            ),
            QuoteError::StarsNotOffered => {
                refusal(Code::FailedPrecondition, (PAYMENTS_DOMAIN, STARS_NOT_OFFERED), message, [])
            }
        }
    }
}

/// Hands a refusal of billing to our caller, under our name.
fn pass_on(status: &Status) -> Status {
    match status.get_details_error_info() {
        Some(info) => Status::with_error_details(
            status.code(),
            status.message(),
            ErrorDetails::with_error_info(info.reason, PAYMENTS_DOMAIN, info.metadata),
        ),
        None => {
            tracing::error!(code = ?status.code(), "billing failed");
            Status::internal("billing failed")
        }
    }
}
