//! What happened to a user's money without having been asked for by a consumer.

use super::{Balance, Operation, OperationState, Subject, Timestamp, TopUp, UserId};

/// Number of an event among one user's events, from 1.
pub type EventNumber = i64;

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A top-up was credited; with the balance right after.
    TopUpSettled(TopUp, Balance),
    /// A hold ran out of time.
    OperationExpired(Operation),
    /// A hold that had expired was committed after all.
    OperationCommittedLate(Operation),
    /// A person refunded an operation.
    OperationRefunded(Operation),
}

impl EventKind {
    /// As it is stored.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TopUpSettled(..) => "top_up_settled",
            Self::OperationExpired(_) => "operation_expired",
            Self::OperationCommittedLate(_) => "operation_committed_late",
            Self::OperationRefunded(_) => "operation_refunded",
        }
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::TopUpSettled(top_up, _) => Subject::TopUp(top_up.id),
            Self::OperationExpired(operation)
            | Self::OperationCommittedLate(operation)
            | Self::OperationRefunded(operation) => Subject::Operation(operation.id),
        }
    }

    /// The balance right after, where the event says it; else nothing.
    pub fn balance_after(&self) -> Balance {
        match self {
            Self::TopUpSettled(_, balance) => *balance,
            Self::OperationExpired(_)
            | Self::OperationCommittedLate(_)
            | Self::OperationRefunded(_) => Balance::default(),
        }
    }

    /// Reads an event about an operation, which may have gone on since.
    pub fn of_operation(stored: &str, operation: &Operation, at: Timestamp) -> Option<Self> {
        match stored {
            "operation_expired" => {
                Some(Self::OperationExpired(operation.as_it_reached(OperationState::Expired, at)))
            }
            "operation_committed_late" => Some(Self::OperationCommittedLate(
                operation.as_it_reached(OperationState::Committed, at),
            )),
            "operation_refunded" => {
                Some(Self::OperationRefunded(operation.as_it_reached(OperationState::Refunded, at)))
            }
            _ => None,
        }
    }

    /// Reads an event about a top-up.
    pub fn of_top_up(stored: &str, top_up: &TopUp, balance_after: Balance) -> Option<Self> {
        (stored == "top_up_settled").then(|| Self::TopUpSettled(top_up.clone(), balance_after))
    }
}

/// One event of one user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub user: UserId,
    pub number: EventNumber,
    pub at: Timestamp,
    pub kind: EventKind,
}
