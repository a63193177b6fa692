//! Why a payment did not come about or could not be looked at; and, the only place, what a caller
//! is told of it.

use proto::reason::{
    BILLING_UNAVAILABLE, PAYMENTS_DOMAIN, PROVIDER_REFUSED, PROVIDER_UNAVAILABLE, refusal,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::billing::BillingError;

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
