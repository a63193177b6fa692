//! The rules of prepaid credit as a small model, written from the contract and not from the
//! service: read [`request`], then [`world`], then one file for each kind of thing.
//!
//! It answers with the contract's own messages, so that an answer of the service's is compared
//! with it field by field. Ids are made by the service; here an operation and a top-up are called
//! what their caller calls them, by their key, and [`send`] translates.

mod request;
mod world;
mod operations;
mod top_ups;
mod offers;
mod send;
mod random;
mod explain;
mod stored;

pub(crate) use explain::{Observed, explain};
pub(crate) use random::{Dice, Lane};
pub(crate) use request::{Ended, Refusal, Request};
pub(crate) use send::{Caller, Times};
pub(crate) use stored::{compare_all, entries};
pub(crate) use world::World;
