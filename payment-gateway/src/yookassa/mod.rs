//! The YooKassa API v3, as far as prepaid top-ups need it. Their words stay in [`wire`].
//!
//! Invariant: a call ends in one of three ways, and "outcome unknown" is one of them
//! ([`YookassaError`]). Nothing here tries again: what may be repeated is known to the caller.

pub mod wire;
mod error;
mod client;

pub use client::{Client, Credentials, READS_AT_ONCE};
pub use error::{Refusal, Unknown, YookassaError};
