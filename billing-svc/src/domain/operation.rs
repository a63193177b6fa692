//! One use of a paid mode: its states, and what each event does in each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{IdempotencyKey, Kopecks, OperationId, PromoCodeName, Timestamp, UserId};

/// A hold never lives longer than this after Reserve, and is committed late at most this long
/// after it expired.
const DAY: Duration = Duration::from_secs(86_400);

/// Where an operation stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OperationState {
    /// The hold lives.
    Reserved,
    /// The hold was made final.
    Committed,
    /// What was taken was given back, for good.
    Refunded,
    /// The hold ran out of time and was released.
    Expired,
}

/// Why an operation's state does not allow what was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StateError {
    /// The work was delivered.
    #[error("the operation is committed")]
    OperationCommitted,
    /// What was taken was given back.
    #[error("the operation is refunded")]
    OperationRefunded,
    /// The hold is gone, and cannot be taken again.
    #[error("the hold has expired")]
    HoldExpired,
    /// Only what was earned can be given back in parts.
    #[error("the operation is not committed, so no part of it can be refunded")]
    OperationNotCommitted,
}

/// What a Commit has to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CommitStep {
    /// Make the hold final.
    Finish,
    /// Take the same price from the same source again, if that can be.
    TakeAgain,
    /// Nothing: it was committed before.
    AlreadyThere,
}

/// What a Refund has to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefundStep {
    /// Give back what is held.
    Release,
    /// Give back what was earned.
    GiveBack,
    /// End it; nothing is left to give back.
    End,
    /// Nothing: it was refunded before.
    AlreadyThere,
}

impl OperationState {
    /// Every state, for tables.
    pub const ALL: [Self; 4] = [Self::Reserved, Self::Committed, Self::Refunded, Self::Expired];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Committed => "committed",
            Self::Refunded => "refunded",
            Self::Expired => "expired",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Makes the hold final.
    pub fn commit(self) -> Result<CommitStep, StateError> {
        match self {
            Self::Reserved => Ok(CommitStep::Finish),
            Self::Committed => Ok(CommitStep::AlreadyThere),
            Self::Refunded => Err(StateError::OperationRefunded),
            Self::Expired => Ok(CommitStep::TakeAgain),
        }
    }

    /// Gives back what was taken. Only a person takes delivered work back.
    pub fn refund(self, by_person: bool) -> Result<RefundStep, StateError> {
        match self {
            Self::Reserved => Ok(RefundStep::Release),
            Self::Committed if by_person => Ok(RefundStep::GiveBack),
            Self::Committed => Err(StateError::OperationCommitted),
            Self::Refunded => Ok(RefundStep::AlreadyThere),
            Self::Expired => Ok(RefundStep::End),
        }
    }

    /// Lengthens the hold.
    pub fn extend(self) -> Result<(), StateError> {
        match self {
            Self::Reserved => Ok(()),
            Self::Committed => Err(StateError::OperationCommitted),
            Self::Refunded => Err(StateError::OperationRefunded),
            Self::Expired => Err(StateError::HoldExpired),
        }
    }
}

/// What pays for an operation. Stays for life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PaymentSource {
    /// One free operation, and no money.
    FreeOperation,
    /// The balance.
    Balance,
    /// Free access until a date: neither money nor a free operation of the user's.
    FreeAccess,
}

impl PaymentSource {
    /// Every source, for tables.
    pub const ALL: [Self; 3] = [Self::FreeOperation, Self::Balance, Self::FreeAccess];

    /// As it is stored and logged.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FreeOperation => "free_operation",
            Self::Balance => "balance",
            Self::FreeAccess => "free_access",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == text)
    }
}

/// Why an operation was refunded, and who did it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refund {
    pub reason: String,
    /// Person, if it was a person.
    pub actor: Option<String>,
    /// A late Commit was refused, which ended it: each repeat of that Commit gets the same answer.
    pub commit_refused: bool,
}

/// One use of a paid mode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    pub user: UserId,
    pub id: OperationId,
    /// Number of the entry that reserved it: gives a user's operations their order.
    pub number: i64,
    pub operation_type: String,
    pub model: String,
    pub state: OperationState,
    pub source: PaymentSource,
    /// What it costs, after a discount.
    pub price: Kopecks,
    /// What the list said before a discount.
    pub list_price: Kopecks,
    /// Which promo code lowered the price or gave free access.
    pub promo_code: Option<PromoCodeName>,
    pub key: IdempotencyKey,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it reached its state, if that is not `reserved`.
    pub ended_at: Option<Timestamp>,
    /// Present exactly when it is refunded.
    pub refund: Option<Refund>,
    /// What the work cost us, in millionths of a US dollar.
    pub cost_micro_usd: Option<i64>,
    /// What a person has given back of it in parts.
    pub refunded_in_parts_kopecks: i64,
    /// The caller's own data.
    pub metadata: BTreeMap<String, String>,
}

impl Operation {
    /// Whether the hold is past its end and not yet released.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == OperationState::Reserved && now >= self.expires_at
    }

    /// How many units of its source it takes: kopecks, or one free operation.
    pub fn amount(&self) -> i64 {
        match self.source {
            PaymentSource::FreeOperation | PaymentSource::FreeAccess => 1,
            PaymentSource::Balance => self.price.get(),
        }
    }

    /// What was taken from the balance for it.
    pub fn charged_kopecks(&self) -> i64 {
        match self.source {
            PaymentSource::FreeOperation | PaymentSource::FreeAccess => 0,
            PaymentSource::Balance => self.price.get(),
        }
    }

    /// What was given back of that.
    pub fn refunded_kopecks(&self) -> i64 {
        match self.state {
            OperationState::Reserved => 0,
            OperationState::Committed => self.refunded_in_parts_kopecks,
            OperationState::Refunded | OperationState::Expired => self.charged_kopecks(),
        }
    }

    /// What is left to give back, in units of its source.
    pub fn left(&self) -> i64 {
        self.amount().saturating_sub(self.refunded_in_parts_kopecks)
    }

    /// What of the money is left to give back, which is what a part of it may come to.
    pub fn left_kopecks(&self) -> i64 {
        self.charged_kopecks().saturating_sub(self.refunded_kopecks())
    }

    /// Where a hold that is extended now ends: never earlier than before, never past a day after
    /// Reserve.
    pub fn extended(&self, now: Timestamp, ttl: Duration) -> Timestamp {
        now.plus(ttl).min(self.created_at.plus(DAY)).max(self.expires_at)
    }

    /// Whether an expired operation may still be committed.
    pub fn can_be_late(&self, now: Timestamp) -> bool {
        now <= self.expires_at.plus(DAY)
    }

    /// What a Commit has to do; a late one that was refused before is refused for ever.
    pub fn commit(&self) -> Result<CommitStep, StateError> {
        match &self.refund {
            Some(refund) if refund.commit_refused => Err(StateError::HoldExpired),
            _ => self.state.commit(),
        }
    }

    /// The operation as it was when it had just reached `state`, which it may have left since.
    #[must_use]
    pub fn as_it_reached(&self, state: OperationState, at: Timestamp) -> Self {
        let refunded = state == OperationState::Refunded;
        Self {
            state,
            ended_at: Some(at),
            refund: self.refund.clone().filter(|_| refunded),
            cost_micro_usd: self.cost_micro_usd.filter(|_| state != OperationState::Expired),
            // Parts come after a Commit and stay with the refund that they add up to.
            refunded_in_parts_kopecks: if refunded { self.refunded_in_parts_kopecks } else { 0 },
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per state: a new state does not compile until it has a row.
    #[test]
    fn every_state_has_an_answer() {
        for state in OperationState::ALL {
            let (commit, refund, by_person, extend) = match state {
                OperationState::Reserved => (
                    Ok(CommitStep::Finish),
                    Ok(RefundStep::Release),
                    Ok(RefundStep::Release),
                    Ok(()),
                ),
                OperationState::Committed => (
                    Ok(CommitStep::AlreadyThere),
                    Err(StateError::OperationCommitted),
                    Ok(RefundStep::GiveBack),
                    Err(StateError::OperationCommitted),
                ),
                OperationState::Refunded => (
                    Err(StateError::OperationRefunded),
                    Ok(RefundStep::AlreadyThere),
                    Ok(RefundStep::AlreadyThere),
                    Err(StateError::OperationRefunded),
                ),
                OperationState::Expired => (
                    Ok(CommitStep::TakeAgain),
                    Ok(RefundStep::End),
                    Ok(RefundStep::End),
                    Err(StateError::HoldExpired),
                ),
            };
            assert_eq!(state.commit(), commit, "commit from {state:?}");
            assert_eq!(state.refund(false), refund, "refund from {state:?}");
            assert_eq!(state.refund(true), by_person, "refund by a person from {state:?}");
            assert_eq!(state.extend(), extend, "extend from {state:?}");
            assert_eq!(OperationState::from_stored(state.as_str()), Some(state));
        }
        assert_eq!(OperationState::from_stored("pending"), None);
    }

    fn operation(expires_after: Duration) -> Operation {
        let start = Timestamp::from_micros(1_000);
        Operation {
            user: UserId::new(1).unwrap(),
            id: OperationId::new(),
            number: 1,
            operation_type: "generate".into(),
            model: String::new(),
            state: OperationState::Reserved,
            source: PaymentSource::Balance,
            price: Kopecks::new(1_000).unwrap(),
            list_price: Kopecks::new(1_000).unwrap(),
            promo_code: None,
            key: IdempotencyKey::new("k").unwrap(),
            created_at: start,
            expires_at: start.plus(expires_after),
            ended_at: None,
            refund: None,
            cost_micro_usd: None,
            refunded_in_parts_kopecks: 0,
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn an_extended_hold_never_ends_earlier_and_never_after_a_day() {
        let half_hour = Duration::from_secs(1800);
        let hold = operation(half_hour);
        let start = hold.created_at;

        let soon = start.plus(Duration::from_secs(60));
        assert_eq!(hold.extended(soon, half_hour), soon.plus(half_hour));
        assert_eq!(hold.extended(soon, Duration::from_secs(1)), hold.expires_at);
        let late = start.plus(DAY);
        assert_eq!(hold.extended(late, half_hour), start.plus(DAY));
    }

    #[test]
    fn what_is_left_of_an_operation_is_its_price_less_its_parts() {
        let mut paid = operation(Duration::from_secs(1));
        paid.state = OperationState::Committed;
        paid.refunded_in_parts_kopecks = 300;
        assert_eq!((paid.left(), paid.left_kopecks(), paid.refunded_kopecks()), (700, 700, 300));

        paid.state = OperationState::Refunded;
        assert_eq!((paid.left_kopecks(), paid.refunded_kopecks()), (0, 1_000));

        let mut free = operation(Duration::from_secs(1));
        free.source = PaymentSource::FreeOperation;
        free.state = OperationState::Committed;
        assert_eq!((free.left(), free.left_kopecks()), (1, 0));
    }

    #[test]
    fn a_hold_is_overdue_from_the_very_moment_it_ends() {
        let hold = operation(Duration::from_secs(1));
        let end = hold.expires_at;

        assert!(!hold.is_overdue(Timestamp::from_micros(end.as_micros() - 1)));
        assert!(hold.is_overdue(end));
    }
}
