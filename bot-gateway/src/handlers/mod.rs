//! What is done about an update: a handler reads its input, calls a service, sends an answer.

pub mod error;
pub mod start;
pub mod buttons;
pub mod cancel_job;
pub mod balance;
pub mod history;
pub mod promo;
pub mod referrals;
pub mod top_up;
pub mod email;
pub mod stars;
pub mod support;
pub mod operators;
pub mod modes;
pub mod choices;
pub mod photos;
pub mod merge;
pub mod add_text;
pub mod afterwards;
pub mod other;
