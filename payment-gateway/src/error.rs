//! Why a payment did not come about or could not be looked at; and, the only place, what a caller
//! is told of it.

use proto::reason::{
    AMOUNT_OUT_OF_RANGE, BILLING_UNAVAILABLE, PAYMENTS_DOMAIN, PROVIDER_REFUSED,
    PROVIDER_UNAVAILABLE, STARS_NOT_OFFERED, TOP_UP_NOT_FOUND, refusal,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::billing::BillingError;
use crate::provider::QuoteError;

/// Why a payment did not come about, or could not be looked at.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PaymentError {
    /// YooKassa will not take the payment; nothing was charged.
    #[error("the provider refused the payment: {0}")]
    ProviderRefused(String),
    /// The same request later finds out what became of it.
    #[error("the provider does not answer")]
    ProviderUnavailable,
    /// Billing was asked and did not do it.
    #[error(transparent)]
    Billing(#[from] BillingError),
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
            PaymentError::ProviderUnavailable => unavailable(PROVIDER_UNAVAILABLE),
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
