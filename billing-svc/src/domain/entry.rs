//! One line of the ledger: one amount of one unit, from one place to another.

use std::borrow::Cow;

use super::{Balance, OperationId, Provider, Timestamp, TopUpId, UserId};

/// What an entry counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Money.
    Kopecks,
    /// Uses of a paid mode that cost nothing.
    FreeOperations,
}

impl Unit {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kopecks => "kopecks",
            Self::FreeOperations => "free_operations",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::Kopecks, Self::FreeOperations].into_iter().find(|unit| unit.as_str() == text)
    }
}

/// Where an amount comes from or goes to: the accounts of the double entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// Money that the user can spend.
    Balance,
    /// Money that open operations hold.
    Held,
    /// Money that we have earned.
    Revenue,
    /// Money that promo codes have given.
    Promo,
    /// Money that persons have given and taken.
    Adjustment,
    /// Money that a provider has taken for us.
    Clearing(Provider),
    /// Free operations that the user can use.
    FreeAvailable,
    /// Free operations that open operations hold.
    FreeHeld,
    /// Free operations that were used.
    FreeUsed,
    /// Free operations that we have given.
    FreeGranted,
}

impl Place {
    /// The only unit that can lie there.
    pub const fn unit(&self) -> Unit {
        match self {
            Self::Balance
            | Self::Held
            | Self::Revenue
            | Self::Promo
            | Self::Adjustment
            | Self::Clearing(_) => Unit::Kopecks,
            Self::FreeAvailable | Self::FreeHeld | Self::FreeUsed | Self::FreeGranted => {
                Unit::FreeOperations
            }
        }
    }

    /// As it is stored, beside the unit.
    pub fn as_text(&self) -> Cow<'static, str> {
        match self {
            Self::Balance => "balance".into(),
            Self::Held | Self::FreeHeld => "held".into(),
            Self::Revenue => "revenue".into(),
            Self::Promo => "promo".into(),
            Self::Adjustment => "adjustment".into(),
            Self::Clearing(provider) => format!("clearing:{}", provider.as_str()).into(),
            Self::FreeAvailable => "available".into(),
            Self::FreeUsed => "used".into(),
            Self::FreeGranted => "granted".into(),
        }
    }
}

/// An amount on its way between two places of one unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Movement {
    pub from: Place,
    pub to: Place,
    pub amount: i64,
}

/// Why an amount moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    Welcome,
    Reserve,
    Commit,
    LateCommit,
    Refund,
    Expiry,
    TopUp,
    /// What a promo code adds to a top-up.
    Bonus,
    /// A provider has paid a top-up back.
    Reversal,
    /// A promo code gives free operations.
    PromoCode,
    /// A person gives or takes money.
    Adjustment,
    /// A person gives free operations.
    Grant,
}

impl Cause {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Reserve => "reserve",
            Self::Commit => "commit",
            Self::LateCommit => "late_commit",
            Self::Refund => "refund",
            Self::Expiry => "expiry",
            Self::TopUp => "top_up",
            Self::Bonus => "bonus",
            Self::Reversal => "reversal",
            Self::PromoCode => "promo_code",
            Self::Adjustment => "adjustment",
            Self::Grant => "grant",
        }
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    Account,
    Operation(OperationId),
    TopUp(TopUpId),
}

impl Subject {
    /// The operation, if it is one.
    pub fn operation(self) -> Option<OperationId> {
        match self {
            Self::Operation(id) => Some(id),
            Self::Account | Self::TopUp(_) => None,
        }
    }

    /// The top-up, if it is one.
    pub fn top_up(self) -> Option<TopUpId> {
        match self {
            Self::TopUp(id) => Some(id),
            Self::Account | Self::Operation(_) => None,
        }
    }
}

/// One line of the ledger, as it is stored for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub user: UserId,
    /// The account's next number: gives entries their order.
    pub number: i64,
    pub movement: Movement,
    pub cause: Cause,
    pub subject: Subject,
    /// Person who caused it, if a person did.
    pub actor: Option<String>,
    pub at: Timestamp,
    /// What could be spent right after.
    pub balance_after: Balance,
    /// Free operations that could be used right after.
    pub free_operations_after: i64,
}
