//! What a person does from the command line, beside the service: a refund, a comparison.
//!
//! Read [`refund`], then [`error`] (how it is told that it did not come about), then
//! [`comparison`].

pub mod refund;
pub mod error;
pub mod comparison;
