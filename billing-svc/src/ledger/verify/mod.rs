//! The proof: account by account, from the rows alone, that everything adds up.
//!
//! Read [`finding`] for what must be true, [`case`] for how one user's rows prove it, and [`pages`]
//! for how a store is gone through. Rows are taken as they are stored, whatever they say: what
//! cannot be is a finding, not an error.

mod finding;
mod piles;
mod operation;
mod top_up;
mod deeds;
mod case;
mod shared;
mod pages;
mod asked;
mod periodic;

pub use finding::{Finding, Invariant};
pub use pages::{KeptHead, NotAKeptHead, NotAPlace, PAGE_USERS, Page, Place, Verifier};
pub use periodic::verify_periodically;
pub use piles::Totals;
