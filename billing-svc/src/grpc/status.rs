//! `BillingError` → gRPC status, the only place.

use std::collections::HashMap;
use std::time::Duration;

use proto::reason::{self, BILLING_DOMAIN};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::PromoError;
use crate::ledger::BillingError;

/// When a caller whom we had no room for should try again: some batches later.
const RETRY_AFTER: Duration = Duration::from_millis(200);

impl From<BillingError> for Status {
    fn from(error: BillingError) -> Self {
        let message = error.to_string();
        let named = (BILLING_DOMAIN, error.reason().unwrap_or_default());
        let refuse = |code: Code| reason::refusal(code, named, &message, []);
        match &error {
            BillingError::UserNotFound(_)
            | BillingError::OperationNotFound(_)
            | BillingError::TopUpNotFound(_)
            | BillingError::ConsumerNotFound => refuse(Code::NotFound),
            BillingError::StatsTooLarge => refuse(Code::ResourceExhausted),
            BillingError::OperationTypeNotSold => refuse(Code::InvalidArgument),
            BillingError::InsufficientFunds { price, balance, free_operations } => {
                let values = [
                    ("price_kopecks", price.get().to_string()),
                    ("balance_kopecks", balance.to_string()),
                    ("free_operations", free_operations.to_string()),
                ];
                reason::refusal(Code::FailedPrecondition, named, &message, values)
            }
            BillingError::WouldOverdraw { amount, balance } => {
                let values = [
                    ("amount_kopecks", amount.get().to_string()),
                    ("balance_kopecks", balance.to_string()),
                ];
                reason::refusal(Code::FailedPrecondition, named, &message, values)
            }
            BillingError::PriceChanged { price, expected } => {
                let values = [
                    ("price_kopecks", price.get().to_string()),
                    ("expected_price_kopecks", expected.get().to_string()),
                ];
                reason::refusal(Code::FailedPrecondition, named, &message, values)
            }
            BillingError::Promo(PromoError::NotFound) => refuse(Code::NotFound),
            BillingError::RefundExceedsPrice { left_kopecks } => {
                let values = [("left_kopecks", left_kopecks.to_string())];
                reason::refusal(Code::FailedPrecondition, named, &message, values)
            }
            BillingError::KeyReused => refuse(Code::AlreadyExists),
            BillingError::State(_)
            | BillingError::TopUp(_)
            | BillingError::Promo(
                PromoError::NotValid | PromoError::UsedUp | PromoError::AlreadyRedeemed,
            )
            | BillingError::BatchRefused => refuse(Code::FailedPrecondition),
            BillingError::Busy => {
                let (domain, reason) = named;
                let mut details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
                details.set_error_info(reason, domain, HashMap::new());
                Self::with_error_details(Code::ResourceExhausted, message, details)
            }
            BillingError::Unavailable => Self::unavailable(message),
            BillingError::Broken => Self::internal(message),
        }
    }
}

/// A field is missing, malformed or out of its bounds.
pub(super) fn invalid(field: &'static str, problem: &str) -> Status {
    tracing::info!(field, outcome = "invalid_field", "billing: request refused");
    metrics::counter!(
        "billing_operations_total",
        "operation" => "read_request",
        "outcome" => "invalid_field"
    )
    .increment(1);
    reason::refusal(
        Code::InvalidArgument,
        (BILLING_DOMAIN, reason::INVALID_FIELD),
        format!("{field}: {problem}"),
        [("field", field.to_owned())],
    )
}
