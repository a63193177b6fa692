//! YooKassa API v3 of one test shop, with its checkout page and its notifications.
//!
//! Read [`wire`] (the objects as they are sent), then [`books`] (what may happen to them), then
//! [`api`], [`notify`] and [`checkout`] (the doors). [`shop`] puts them together.
//!
//! Invariant: an object changes only in [`books`], with its event, in one write of the document.

mod wire;
mod cards;
mod books;
mod error;
mod request;
mod list;
mod receipts;
mod api;
mod notify;
mod checkout;
mod control;
mod shop;

pub use shop::YooKassa;
