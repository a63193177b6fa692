//! What happened to a user's money without having been asked for by a consumer.

use super::{Balance, Operation, OperationState, Subject, Timestamp, TopUp, UserId};

/// Number of an event among one user's events, from 1.
pub type EventNumber = i64;

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A top-up was credited; with the balance right after.
    TopUpSettled(TopUp, Balance),
    /// A top-up ended without money.
    TopUpCancelled(TopUp),
    /// A hold ran out of time.
    OperationExpired(Operation),
    /// A hold that had expired was committed after all.
    OperationCommittedLate(Operation),
    /// A person refunded an operation: all of it, or all that was left; with the kopecks that came
    /// back.
    OperationRefunded(Operation, i64),
    /// A person refunded a part of an operation; with the kopecks that came back.
    OperationRefundedInPart(Operation, i64),
    /// A provider has paid a top-up back; with the kopecks that were taken and the balance after.
    TopUpReversed(TopUp, i64, Balance),
    /// A person gave or took money: how much, and the balance right after.
    BalanceAdjusted(i64, Balance),
    /// A person gave so many free operations.
    FreeOperationsGranted(i64),
}

impl EventKind {
    /// As it is stored.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TopUpSettled(..) => "top_up_settled",
            Self::TopUpCancelled(_) => "top_up_cancelled",
            Self::OperationExpired(_) => "operation_expired",
            Self::OperationCommittedLate(_) => "operation_committed_late",
            Self::OperationRefunded(..) => "operation_refunded",
            Self::OperationRefundedInPart(..) => "operation_refunded_in_part",
            Self::TopUpReversed(..) => "top_up_reversed",
            Self::BalanceAdjusted(..) => "balance_adjusted",
            Self::FreeOperationsGranted(_) => "free_operations_granted",
        }
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::TopUpSettled(top_up, _)
            | Self::TopUpCancelled(top_up)
            | Self::TopUpReversed(top_up, ..) => Subject::TopUp(top_up.id),
            Self::OperationExpired(operation)
            | Self::OperationCommittedLate(operation)
            | Self::OperationRefunded(operation, _)
            | Self::OperationRefundedInPart(operation, _) => Subject::Operation(operation.id),
            Self::BalanceAdjusted(..) | Self::FreeOperationsGranted(_) => Subject::Account,
        }
    }

    /// How much moved, where the event says it; else nothing.
    pub fn amount(&self) -> i64 {
        match self {
            Self::TopUpSettled(..)
            | Self::TopUpCancelled(_)
            | Self::OperationExpired(_)
            | Self::OperationCommittedLate(_) => 0,
            Self::OperationRefunded(_, amount)
            | Self::OperationRefundedInPart(_, amount)
            | Self::TopUpReversed(_, amount, _)
            | Self::BalanceAdjusted(amount, _)
            | Self::FreeOperationsGranted(amount) => *amount,
        }
    }

    /// The balance right after, where the event says it; else nothing.
    pub fn balance_after(&self) -> Balance {
        match self {
            Self::TopUpSettled(_, balance)
            | Self::TopUpReversed(_, _, balance)
            | Self::BalanceAdjusted(_, balance) => *balance,
            Self::TopUpCancelled(_)
            | Self::OperationExpired(_)
            | Self::OperationCommittedLate(_)
            | Self::OperationRefunded(..)
            | Self::OperationRefundedInPart(..)
            | Self::FreeOperationsGranted(_) => Balance::default(),
        }
    }

    /// Reads an event about an operation, which may have gone on since.
    pub fn of_operation(
        stored: &str,
        operation: &Operation,
        amount: i64,
        at: Timestamp,
    ) -> Option<Self> {
        match stored {
            "operation_expired" => {
                Some(Self::OperationExpired(operation.as_it_reached(OperationState::Expired, at)))
            }
            "operation_committed_late" => Some(Self::OperationCommittedLate(
                operation.as_it_reached(OperationState::Committed, at),
            )),
            "operation_refunded" => Some(Self::OperationRefunded(
                operation.as_it_reached(OperationState::Refunded, at),
                amount,
            )),
            "operation_refunded_in_part" => {
                Some(Self::OperationRefundedInPart(operation.clone(), amount))
            }
            _ => None,
        }
    }

    /// Reads an event about a top-up.
    pub fn of_top_up(
        stored: &str,
        top_up: &TopUp,
        amount: i64,
        balance_after: Balance,
    ) -> Option<Self> {
        match stored {
            "top_up_settled" => Some(Self::TopUpSettled(top_up.as_it_was_settled(), balance_after)),
            "top_up_cancelled" => Some(Self::TopUpCancelled(top_up.as_it_was_cancelled())),
            "top_up_reversed" => Some(Self::TopUpReversed(top_up.clone(), amount, balance_after)),
            _ => None,
        }
    }

    /// Reads an event about an account.
    pub fn of_account(stored: &str, amount: i64, balance_after: Balance) -> Option<Self> {
        match stored {
            "balance_adjusted" => Some(Self::BalanceAdjusted(amount, balance_after)),
            "free_operations_granted" => Some(Self::FreeOperationsGranted(amount)),
            _ => None,
        }
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
