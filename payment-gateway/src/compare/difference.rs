//! One thing that is not the same at YooKassa and at billing.

use std::fmt;
use std::time::SystemTime;

use crate::billing::{Reversal, TopUp};
use crate::ids::{PaymentId, RefundId};
use crate::resolve::Owner;

/// In what the two sides differ.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Paid there, not credited here.
    NotCredited,
    /// Paid there for a top-up that is not here.
    NoTopUp,
    /// Both have the payment, and it is not the same.
    PaymentDiffers,
    /// Credited here, not paid there.
    NotPaid,
    /// Refunded there, not taken back here.
    NotReversed,
    /// Both have the refund, and it is not the same.
    RefundDiffers,
    /// Taken back here, not refunded there.
    NotRefunded,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NotCredited,
        Self::NoTopUp,
        Self::PaymentDiffers,
        Self::NotPaid,
        Self::NotReversed,
        Self::RefundDiffers,
        Self::NotRefunded,
    ];

    /// As it is logged and counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotCredited => "not_credited",
            Self::NoTopUp => "no_top_up",
            Self::PaymentDiffers => "payment_differs",
            Self::NotPaid => "not_paid",
            Self::NotReversed => "not_reversed",
            Self::RefundDiffers => "refund_differs",
            Self::NotRefunded => "not_refunded",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Something that differs.
#[derive(Clone, Debug)]
pub struct Difference {
    /// In what.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Owner,
    /// The payment at YooKassa.
    pub payment: Option<PaymentId>,
    /// The refund at YooKassa.
    pub refund: Option<RefundId>,
    /// What YooKassa has.
    pub there: String,
    /// What billing has.
    pub here: String,
    /// When it happened, on the side that has it.
    pub at: SystemTime,
    /// Whether it was mended since.
    pub is_mended: bool,
}

impl Difference {
    /// A difference in a payment.
    pub(super) fn payment(
        kind: Kind,
        (owner, payment): (Owner, &PaymentId),
        (there, here): (impl Into<String>, impl Into<String>),
        at: SystemTime,
    ) -> Self {
        let (there, here) = (there.into(), here.into());
        let payment = Some(payment.clone());
        Self { kind, owner, payment, refund: None, there, here, at, is_mended: false }
    }

    /// A difference in a refund.
    pub(super) fn refund(
        kind: Kind,
        (owner, refund): (Owner, &RefundId),
        (there, here): (impl Into<String>, impl Into<String>),
        at: SystemTime,
    ) -> Self {
        let (there, here) = (there.into(), here.into());
        let refund = Some(refund.clone());
        Self { kind, owner, payment: None, refund, there, here, at, is_mended: false }
    }
}

/// Whose a reversal is.
pub(super) fn owner_of(reversal: &Reversal) -> Owner {
    Owner { user_id: reversal.user_id, top_up_id: reversal.top_up_id }
}

/// When a top-up was credited.
pub(super) fn settled_at(top_up: &TopUp) -> SystemTime {
    top_up.ended_at.unwrap_or(top_up.opened_at)
}
