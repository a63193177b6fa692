//! The rules, pure: no I/O, no clock, no logging.
//!
//! Read [`OperationState`] and [`TopUpState`] for what may happen to a thing, [`Account::apply`]
//! for what a movement does to an account, [`PriceList`] for what is sold, and [`PromoCode`] for
//! what makes it cheaper.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::match_wildcard_for_single_variants,
    clippy::wildcard_enum_match_arm
)]

mod ids;
mod time;
mod money;
mod account;
mod entry;
mod operation;
mod top_up;
mod prices;
mod promo;
mod intervention;
mod event;
mod sales;
mod chain;

pub use account::{Account, Grant, Profile};
pub use chain::{
    ChainHash, EntryLink, InterventionLink, NotAHash, OperationLink, RedemptionLink, TopUpLink,
};
pub use entry::{Cause, Entry, Movement, Place, Subject, Unit};
pub use event::{Event, EventKind, EventNumber};
pub use ids::{
    IdempotencyKey, OperationId, PaymentId, PromoCodeName, Provider, ProviderRefundId, TopUpId,
    UserId,
};
pub use intervention::{Intervention, InterventionKind};
pub use money::{AmountError, Balance, Kopecks, bonus_rounded_down, discounted_rounded_up};
pub use operation::{
    CommitStep, Operation, OperationState, PaymentSource, Refund, RefundStep, StateError,
};
pub use prices::{Price, PriceList, is_model, is_operation_type};
pub use promo::{PromoCode, PromoEffect, PromoError, Redemption, Signature};
pub use sales::Sales;
pub use time::Timestamp;
pub use top_up::{ProviderAmount, ReversedShare, TopUp, TopUpError, TopUpState, TopUpStep};
