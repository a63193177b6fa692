//! Everything that can go wrong, as callers can tell it apart.

use proto::reason;

use crate::domain::{
    AmountError, Balance, Kopecks, OperationId, PromoError, StateError, TopUpError, TopUpId, UserId,
};
use crate::store::StoreError;

/// Why something did not happen, or may not have happened.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    #[error("user {0} was never registered")]
    UserNotFound(UserId),
    #[error("the price list has no such type and model")]
    OperationTypeNotSold,
    #[error("neither a free operation nor enough balance")]
    InsufficientFunds { price: Kopecks, balance: Balance, free_operations: i64 },
    #[error("the balance has less than what is to be taken")]
    WouldOverdraw { amount: Kopecks, balance: Balance },
    #[error("the price is higher than expected")]
    PriceChanged { price: Kopecks, expected: Kopecks },
    #[error("the key was used before with another payload")]
    KeyReused,
    #[error("the user has no operation {0}")]
    OperationNotFound(OperationId),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the user has no top-up {0}")]
    TopUpNotFound(TopUpId),
    #[error(transparent)]
    TopUp(#[from] TopUpError),
    #[error(transparent)]
    Promo(#[from] PromoError),
    #[error("more than what is left of the price")]
    RefundExceedsPrice { left_kopecks: i64 },
    /// Another item was at fault.
    #[error("another item of the batch was refused")]
    BatchRefused,
    /// More than one answer, or the time for one, has room for.
    #[error("these are too many sums for one answer; ask for fewer days")]
    StatsTooLarge,
    #[error("no such consumer of events")]
    ConsumerNotFound,
    /// The queue is full; nothing was written.
    #[error("too many requests wait; try again after a moment")]
    Busy,
    /// The outcome is unknown; the cause was logged.
    #[error("the outcome is unknown; send the same request again")]
    Unavailable,
    /// Our bug; the cause was logged.
    #[error("this cannot be done, and the reason is on our side")]
    Broken,
}

impl BillingError {
    /// The reason code that callers branch on, where there is one.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::UserNotFound(_) => Some(reason::USER_NOT_FOUND),
            Self::OperationTypeNotSold => Some(reason::OPERATION_TYPE_NOT_SOLD),
            Self::InsufficientFunds { .. } | Self::WouldOverdraw { .. } => {
                Some(reason::INSUFFICIENT_FUNDS)
            }
            Self::PriceChanged { .. } => Some(reason::PRICE_CHANGED),
            Self::KeyReused => Some(reason::IDEMPOTENCY_KEY_REUSED),
            Self::OperationNotFound(_) => Some(reason::OPERATION_NOT_FOUND),
            Self::State(StateError::OperationCommitted) => Some(reason::OPERATION_COMMITTED),
            Self::State(StateError::OperationRefunded) => Some(reason::OPERATION_REFUNDED),
            Self::State(StateError::HoldExpired) => Some(reason::HOLD_EXPIRED),
            Self::TopUpNotFound(_) => Some(reason::TOP_UP_NOT_FOUND),
            Self::TopUp(TopUpError::Settled) => Some(reason::TOP_UP_SETTLED),
            Self::TopUp(TopUpError::AmountMismatch) => Some(reason::TOP_UP_AMOUNT_MISMATCH),
            Self::TopUp(TopUpError::PaymentMismatch) => Some(reason::TOP_UP_PAYMENT_MISMATCH),
            Self::State(StateError::OperationNotCommitted) => Some(reason::OPERATION_NOT_COMMITTED),
            Self::Promo(PromoError::NotFound) => Some(reason::PROMO_CODE_NOT_FOUND),
            Self::Promo(PromoError::NotValid) => Some(reason::PROMO_CODE_NOT_VALID),
            Self::Promo(PromoError::UsedUp) => Some(reason::PROMO_CODE_USED_UP),
            Self::Promo(PromoError::AlreadyRedeemed) => Some(reason::PROMO_CODE_ALREADY_REDEEMED),
            Self::RefundExceedsPrice { .. } => Some(reason::REFUND_EXCEEDS_PRICE),
            Self::BatchRefused => Some(reason::BATCH_REFUSED),
            Self::TopUp(TopUpError::NotSettled) => Some(reason::TOP_UP_NOT_SETTLED),
            Self::TopUp(TopUpError::PaymentAlreadyClaimed) => Some(reason::PAYMENT_ALREADY_CLAIMED),
            Self::StatsTooLarge => Some(reason::STATS_TOO_LARGE),
            Self::ConsumerNotFound => Some(reason::CONSUMER_NOT_FOUND),
            Self::Busy => Some(reason::BUSY),
            Self::Unavailable | Self::Broken => None,
        }
    }

    /// How it is counted and logged.
    pub(super) fn outcome(&self) -> String {
        match self {
            Self::Unavailable => "unavailable".to_owned(),
            Self::Broken => "broken".to_owned(),
            refusal => refusal.reason().unwrap_or_default().to_lowercase(),
        }
    }
}

impl From<AmountError> for BillingError {
    /// A sum that cannot be made is a bug: every amount was checked on its way in.
    fn from(error: AmountError) -> Self {
        tracing::error!(error.cause = %error, "the books do not add up");
        Self::Broken
    }
}

impl From<StoreError> for BillingError {
    /// Logs what only we may see, once, and keeps what the caller may know.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::CommitUnknown(_)
            | StoreError::Silent
            | StoreError::Away(_)
            | StoreError::Race(_)
            | StoreError::Blocked(_) => {
                tracing::error!(error.cause = ?error, "database call failed");
                Self::Unavailable
            }
            StoreError::Refused(_) | StoreError::Unreadable(_) | StoreError::RowsMissing { .. } => {
                tracing::error!(error.cause = ?error, "database call cannot work");
                Self::Broken
            }
        }
    }
}
