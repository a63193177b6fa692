//! What payment-gateway promises, tried through its own server.
//!
//! The two that it talks to are here as well: [`yookassa`] speaks the real protocol and can be told
//! to fail; [`billing`] keeps top-ups as billing-svc's contract says.

#![allow(clippy::unwrap_used, reason = "a failed setup is a failed test")]
#![allow(clippy::panic, reason = "a failed setup is a failed test")]

mod app;
mod billing;
mod yookassa;

mod creating;
mod crediting;
mod reconciling;
mod refusing;
mod running;
mod with_billing;
mod refunding;
mod operator;
mod comparing;
mod returning;
mod limiting;
mod storm;
mod receipts;
mod outage;
mod spoofed;
mod stars;
