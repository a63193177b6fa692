//! Money on its way in: its states, and what each event does in each of them.

use super::{
    AmountError, IdempotencyKey, Kopecks, PaymentId, Provider, Timestamp, TopUpId, UserId,
};

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
    /// Nothing was credited for it.
    #[error("the top-up is not settled")]
    NotSettled,
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

    /// Takes back what the provider has paid back. Only what was credited can be.
    pub fn reverse(self) -> Result<(), TopUpError> {
        match self {
            Self::Settled => Ok(()),
            Self::Open | Self::Cancelled => Err(TopUpError::NotSettled),
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
    /// What a promo code added to the credit.
    pub bonus_kopecks: i64,
    /// What the provider has paid back, in the unit of `paid`.
    pub refunded_minor_units: i64,
    /// What that has taken back of the credit.
    pub reversed_kopecks: i64,
    /// What that has taken back of the bonus.
    pub reversed_bonus_kopecks: i64,
}

/// What one refund at the provider takes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReversedShare {
    pub credit_kopecks: i64,
    pub bonus_kopecks: i64,
}

impl TopUp {
    /// The share of credit and bonus that a further refund of `refunded` takes back.
    ///
    /// It is reckoned from all refunds together, rounded down, so that many small ones take no more
    /// than one large one, and the last one takes all that is left.
    pub fn reverse(&self, refunded: &ProviderAmount) -> Result<ReversedShare, TopUpError> {
        let all = self.refunded_minor_units.saturating_add(refunded.minor_units);
        if refunded.currency != self.paid.currency || all > self.paid.minor_units {
            return Err(TopUpError::AmountMismatch);
        }
        let share = |of: i64, before: i64| {
            share_rounded_down(of, all, self.paid.minor_units)
                .and_then(|due| due.checked_sub(before).ok_or(AmountError::Overflow))
                .map_err(|_| TopUpError::AmountMismatch)
        };
        Ok(ReversedShare {
            credit_kopecks: share(self.credited.get(), self.reversed_kopecks)?,
            bonus_kopecks: share(self.bonus_kopecks, self.reversed_bonus_kopecks)?,
        })
    }

    /// The top-up as it was when it was settled; it may have been reversed since.
    #[must_use]
    pub fn as_it_was_settled(&self) -> Self {
        Self {
            refunded_minor_units: 0,
            reversed_kopecks: 0,
            reversed_bonus_kopecks: 0,
            ..self.clone()
        }
    }

    /// The top-up as it was when it was cancelled; its money may have come since.
    #[must_use]
    pub fn as_it_was_cancelled(&self) -> Self {
        Self { state: TopUpState::Cancelled, bonus_kopecks: 0, ..self.as_it_was_settled() }
    }

    /// Whether `payment` may be the payment of this top-up.
    pub fn accepts(&self, payment: &PaymentId) -> Result<(), TopUpError> {
        match &self.payment {
            Some(known) if known != payment => Err(TopUpError::PaymentMismatch),
            Some(_) | None => Ok(()),
        }
    }
}

/// `amount × part ÷ whole`, without the fraction.
fn share_rounded_down(amount: i64, part: i64, whole: i64) -> Result<i64, AmountError> {
    let product = i128::from(amount).checked_mul(i128::from(part)).ok_or(AmountError::Overflow)?;
    let share = product.checked_div(i128::from(whole)).ok_or(AmountError::Overflow)?;
    i64::try_from(share).map_err(|_| AmountError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(paid: i64, credited: i64, bonus: i64) -> TopUp {
        TopUp {
            user: UserId::new(1).unwrap(),
            id: TopUpId::new(),
            provider: Provider::new("yookassa").unwrap(),
            state: TopUpState::Settled,
            paid: ProviderAmount { minor_units: paid, currency: "RUB".into() },
            credited: Kopecks::new(credited).unwrap(),
            key: IdempotencyKey::new("k").unwrap(),
            snapshot: Vec::new(),
            payment: PaymentId::new("p"),
            confirmation_url: String::new(),
            cancel_reason: None,
            created_at: Timestamp::from_micros(0),
            ended_at: Some(Timestamp::from_micros(1)),
            bonus_kopecks: bonus,
            refunded_minor_units: 0,
            reversed_kopecks: 0,
            reversed_bonus_kopecks: 0,
        }
    }

    #[test]
    fn refunds_in_parts_take_back_all_and_no_more() {
        let mut top_up = settled(300, 100, 7);
        let third = ProviderAmount { minor_units: 100, currency: "RUB".into() };
        let mut taken = Vec::new();
        for _ in 0..3 {
            let share = top_up.reverse(&third).unwrap();
            taken.push((share.credit_kopecks, share.bonus_kopecks));
            top_up.refunded_minor_units += third.minor_units;
            top_up.reversed_kopecks += share.credit_kopecks;
            top_up.reversed_bonus_kopecks += share.bonus_kopecks;
        }

        assert_eq!(taken, [(33, 2), (33, 2), (34, 3)]);
        assert_eq!(top_up.reverse(&third), Err(TopUpError::AmountMismatch));
    }

    #[test]
    fn a_refund_in_another_currency_or_beyond_what_was_paid_is_refused() {
        let top_up = settled(300, 300, 0);
        let refund = |minor_units, currency: &str| {
            top_up.reverse(&ProviderAmount { minor_units, currency: currency.into() })
        };

        assert_eq!(refund(301, "RUB"), Err(TopUpError::AmountMismatch));
        assert_eq!(refund(300, "XTR"), Err(TopUpError::AmountMismatch));
        assert_eq!(refund(i64::MAX, "RUB"), Err(TopUpError::AmountMismatch));
        let whole = ReversedShare { credit_kopecks: 300, bonus_kopecks: 0 };
        assert_eq!(refund(300, "RUB"), Ok(whole));
    }

    /// One row per state: a new state does not compile until it has a row.
    #[test]
    fn every_state_has_an_answer() {
        for state in TopUpState::ALL {
            let (settle, cancel, reverse) = match state {
                TopUpState::Open => {
                    (TopUpStep::Move, Ok(TopUpStep::Move), Err(TopUpError::NotSettled))
                }
                TopUpState::Settled => (TopUpStep::AlreadyThere, Err(TopUpError::Settled), Ok(())),
                TopUpState::Cancelled => {
                    (TopUpStep::Move, Ok(TopUpStep::AlreadyThere), Err(TopUpError::NotSettled))
                }
            };
            assert_eq!(state.reverse(), reverse, "reverse from {state:?}");
            assert_eq!(state.settle(), settle, "settle from {state:?}");
            assert_eq!(state.cancel(), cancel, "cancel from {state:?}");
            assert_eq!(TopUpState::from_stored(state.as_str()), Some(state));
        }
    }
}
