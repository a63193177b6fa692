//! Why an operator's refund did not come about, in words for that person.

use crate::billing::BillingError;
use crate::ids::{PaymentId, RefundId};
use crate::money::Kopecks;
use crate::resolve::Mismatch;
use crate::yookassa::Refusal;

/// Why a refund did not come about, or is not known to have.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// Billing knows no such top-up of this user, or it is another provider's.
    #[error("this user has no such top-up at YooKassa")]
    NoTopUp,
    /// There is nothing to give back.
    #[error("nothing was credited for this top-up: it is {0}")]
    NotSettled(&'static str),
    /// The payment that billing names is not the one at YooKassa.
    #[error(
        "payment {0} is not what its top-up asked for ({1}); look at it in the merchant profile"
    )]
    Mismatch(PaymentId, Mismatch),
    /// All of it went back before.
    #[error("nothing is left to refund")]
    NothingLeft,
    /// The sum is too large.
    #[error("{} were asked for, and {} are left", .asked.to_roubles(), .left.to_roubles())]
    MoreThanLeft {
        /// What the operator wanted.
        asked: Kopecks,
        /// What can go back.
        left: Kopecks,
    },
    /// Their API does not refund it.
    #[error(
        "YooKassa does not refund this payment: it is too old (3 years, SberPay 1 year), or its \
         method takes nothing back; pay the user back by another way, and adjust the balance"
    )]
    NotRefundable,
    /// The key is another refund's.
    #[error(
        "the key {0:?} was used for another refund of this top-up; give this one a --key of its \
         own"
    )]
    KeyUsed(String),
    /// YooKassa or the bank refused it, for good.
    #[error("refund {id} was refused, nothing went back: {}; a new try needs a new --key", words(.reason))]
    Cancelled {
        /// The refund.
        id: RefundId,
        /// In YooKassa's word.
        reason: String,
    },
    /// YooKassa did not take the request.
    #[error("YooKassa did not take the request: {}", explained(.0))]
    Rejected(Refusal),
    /// Nothing was asked for yet.
    #[error("YooKassa does not answer; nothing was asked for")]
    YookassaAway,
    /// Nothing was asked for yet.
    #[error("billing-svc: {0}; nothing was asked for")]
    Billing(BillingError),
    /// The request went out, and its answer did not come.
    #[error(
        "YooKassa does not answer, so nobody knows whether the refund was made; repeat the same \
         command, which finds out and refunds nothing twice"
    )]
    Unknown,
    /// Not decided yet.
    #[error(
        "refund {0} is not decided yet; the service takes it back when it is, and the same \
         command looks again"
    )]
    Pending(RefundId),
    /// The money went back, the balance is still as it was.
    #[error(
        "refund {0} went through, and the balance could not be lowered yet; the service does it \
         as soon as it can, and the same command tries again"
    )]
    NotTakenBack(RefundId),
    /// The money went back, and billing does not take it.
    #[error(
        "refund {0} went through, and is not what billing-svc can take back; the reason is in the \
         log, and a person must look"
    )]
    NotAccepted(RefundId),
}

impl RefundError {
    /// Whether it is certain that no money went back.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::NoTopUp
            | Self::NotSettled(_)
            | Self::Mismatch(..)
            | Self::NothingLeft
            | Self::MoreThanLeft { .. }
            | Self::NotRefundable
            | Self::KeyUsed(_)
            | Self::Cancelled { .. }
            | Self::Rejected(_) => true,
            Self::YookassaAway
            | Self::Billing(_)
            | Self::Unknown
            | Self::Pending(_)
            | Self::NotTakenBack(_)
            | Self::NotAccepted(_) => false,
        }
    }
}

/// Why nothing went back, for a person. The list at YooKassa grows.
fn words(reason: &str) -> String {
    let known = match reason {
        "insufficient_funds" => {
            "the shop has not taken enough today to pay it back; try again when more was paid, or \
             fund the shop in the merchant profile"
        }
        "general_decline" => "the bank refused without a reason; the user may ask the bank",
        "rejected_by_payee" => "the user's bank or the user refused the money",
        "rejected_by_timeout" => "the user's bank did not answer in time; try again",
        "yoo_money_account_closed" => "the user's YooMoney wallet is closed",
        "payment_expired" => "the payment is too old to be refunded",
        "" => "no reason was told",
        _ => return format!("YooKassa calls the reason {reason:?}"),
    };
    format!("{known} ({reason})")
}

/// What was wrong with the request, for a person.
fn explained(refusal: &Refusal) -> String {
    let known = match (refusal.code.as_str(), refusal.parameter.as_deref()) {
        ("invalid_credentials", _) => {
            "the shop was not accepted, check YOOKASSA_SHOP_ID and YOOKASSA_SECRET_KEY"
        }
        ("forbidden", _) => "the shop may not make refunds; ask YooKassa's support",
        (_, Some("amount" | "amount.value")) => "the sum is more than what is left of the payment",
        (_, Some("amount.currency")) => "the payment is in another currency",
        (_, Some("receipt" | "receipt.items" | "receipt.customer")) => {
            "the shop sends receipts, and a refund needs one too"
        }
        _ => "see their documentation",
    };
    let id = refusal.id.as_deref().unwrap_or("unknown");
    format!("{known} ({refusal}; for their support: error {id})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_is_not_known_is_told_as_it_is() {
        assert!(words("insufficient_funds").contains("not taken enough today"));
        assert!(words("teleport_failed").contains("teleport_failed"));
    }

    #[test]
    fn an_unknown_outcome_is_not_a_refusal() {
        assert!(!RefundError::Unknown.is_certain());
        assert!(RefundError::NothingLeft.is_certain());
    }
}
