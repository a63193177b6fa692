//! What a person did to an account, under a key of its own.

use super::{IdempotencyKey, OperationId, Timestamp, UserId};

/// What was done. Keys are unique for each of them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum InterventionKind {
    /// Money was given or taken.
    Adjustment,
    /// Free operations were given.
    Grant,
    /// A part of a committed operation was given back.
    PartialRefund,
}

impl InterventionKind {
    /// Every kind, for tables.
    pub const ALL: [Self; 3] = [Self::Adjustment, Self::Grant, Self::PartialRefund];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adjustment => "adjustment",
            Self::Grant => "grant",
            Self::PartialRefund => "partial_refund",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One write of a person's, kept for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intervention {
    pub user: UserId,
    pub kind: InterventionKind,
    pub key: IdempotencyKey,
    /// Kopecks, below zero if they were taken; or free operations.
    pub amount: i64,
    /// The operation that was refunded in part.
    pub operation: Option<OperationId>,
    pub actor: String,
    pub reason: String,
    pub entry_number: i64,
    pub at: Timestamp,
}

impl Intervention {
    /// Whether a repeat under the same key asks for the same.
    pub fn is_same(&self, amount: i64, operation: Option<OperationId>) -> bool {
        self.amount == amount && self.operation == operation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_stored() {
        for kind in InterventionKind::ALL {
            assert_eq!(InterventionKind::from_stored(kind.as_str()), Some(kind));
        }
        assert_eq!(InterventionKind::from_stored("gift"), None);
    }
}
