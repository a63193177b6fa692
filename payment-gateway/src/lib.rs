//! Talks to YooKassa; turns payments into credits. Keeps nothing: what must last is in billing-svc.
//!
//! Read in this order: [`config`]; [`server`], which puts the pieces together; [`payments`], the
//! RPCs; [`create`], how a payment is made once, with its [`receipt`]; [`resolve`] and [`refund`],
//! what a payment and its refund mean for their top-up, and those that find out without being
//! asked: [`webhook`] (with [`looks`]), [`reconcile`] and, once a day, [`compare`].
//! [`return_page`] is what a user sees after paying, [`operator`] what a person does from the
//! command line. [`yookassa`] and [`billing`] are the two that we talk to; a [`breaker`] keeps from
//! asking YooKassa in vain. [`provider`] is what a way to pay is; [`stars`] is the second one.

pub mod config;
pub mod receipt_settings;
pub mod server;
pub mod payments;
pub mod provider;
pub mod create;
pub mod receipt;
pub mod resolve;
pub mod refund;
pub mod looks;
pub mod stars;
pub mod webhook;
pub mod reconcile;
pub mod compare;
pub mod operator;
pub mod router;
pub mod return_page;
pub mod rate;
pub mod client_address;
pub mod error;
pub mod billing;
pub mod yookassa;
pub mod breaker;
pub mod ids;
pub mod money;
