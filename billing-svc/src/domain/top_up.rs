//! Money on its way in: its states, and what each event does in each of them.

use super::{IdempotencyKey, Kopecks, PaymentId, Provider, Timestamp, TopUpId, UserId};

/// An amount at a provider, in the smallest unit of its currency.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderAmount {
    pub minor_units: i64,
    /// ISO 4217 code, or `XTR`.
    pub currency: String,
}

/// Where a top-up stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TopUpState {
    /// The user may pay.
    Open,
    /// Paid and credited.
    Settled,
    /// Ended without money; money that comes all the same is credited.
    Cancelled,
}

/// What an event has to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TopUpStep {
    /// Go to the state that was asked for.
    Move,
    /// Nothing: it was there before.
    AlreadyThere,
}

/// Why a top-up does not allow what was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TopUpError {
    /// It is paid and credited.
    #[error("the top-up is settled")]
    Settled,
    /// Amount or currency are not what the user was asked for.
    #[error("amount or currency are not those of the top-up")]
    AmountMismatch,
    /// Another payment belongs to it.
    #[error("another payment belongs to the top-up")]
    PaymentMismatch,
    /// The payment was credited to another one.
    #[error("the payment was credited to another top-up")]
    PaymentAlreadyClaimed,
}

impl TopUpState {
    /// Every state, for tables.
    pub const ALL: [Self; 3] = [Self::Open, Self::Settled, Self::Cancelled];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Credits what has come.
    pub fn settle(self) -> TopUpStep {
        match self {
            Self::Open | Self::Cancelled => TopUpStep::Move,
            Self::Settled => TopUpStep::AlreadyThere,
        }
    }

    /// Ends it without money.
    pub fn cancel(self) -> Result<TopUpStep, TopUpError> {
        match self {
            Self::Open => Ok(TopUpStep::Move),
            Self::Settled => Err(TopUpError::Settled),
            Self::Cancelled => Ok(TopUpStep::AlreadyThere),
        }
    }
}

/// Money on its way in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopUp {
    pub user: UserId,
    pub id: TopUpId,
    pub provider: Provider,
    pub state: TopUpState,
    /// What the user is asked for.
    pub paid: ProviderAmount,
    /// What is credited for it.
    pub credited: Kopecks,
    pub key: IdempotencyKey,
    /// The provider request as it is sent, byte for byte.
    pub snapshot: Vec<u8>,
    /// The provider's payment, once known.
    pub payment: Option<PaymentId>,
    pub confirmation_url: String,
    pub cancel_reason: Option<String>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

impl TopUp {
    /// Whether `payment` may be the payment of this top-up.
    pub fn accepts(&self, payment: &PaymentId) -> Result<(), TopUpError> {
        match &self.payment {
            Some(known) if known != payment => Err(TopUpError::PaymentMismatch),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per state: a new state does not compile until it has a row.
    #[test]
    fn every_state_has_an_answer() {
        for state in TopUpState::ALL {
            let (settle, cancel) = match state {
                TopUpState::Open => (TopUpStep::Move, Ok(TopUpStep::Move)),
                TopUpState::Settled => (TopUpStep::AlreadyThere, Err(TopUpError::Settled)),
                TopUpState::Cancelled => (TopUpStep::Move, Ok(TopUpStep::AlreadyThere)),
            };
            assert_eq!(state.settle(), settle, "settle from {state:?}");
            assert_eq!(state.cancel(), cancel, "cancel from {state:?}");
            assert_eq!(TopUpState::from_stored(state.as_str()), Some(state));
        }
    }
}
