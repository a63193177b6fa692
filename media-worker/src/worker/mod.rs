//! Who takes the steps of jobs: claim → submit → wait → settle, bounded, each step stored first.

mod lanes;
mod run;
mod submit;
mod follow;
mod settle;
mod hold;
mod sweep;
mod waiting;
mod waiting_holds;
mod compare;
mod hints;
mod find;
mod breaker;
mod health;

pub use lanes::{Parts, Worker};
