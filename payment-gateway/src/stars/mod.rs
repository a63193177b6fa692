//! Telegram Stars, the second way to pay: the bot brings Telegram's updates, and what they mean is
//! decided here.
//!
//! Read in this order: [`terms`], what Stars are worth and how an invoice names its top-up;
//! [`desk`], what becomes of invoices, payments and refunds; [`rpcs`], the calls.

pub mod terms;
pub mod desk;
pub mod rpcs;
