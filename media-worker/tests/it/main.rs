//! The worker through its door: the real server on a database of its own, fal.ai and billing
//! played over their real protocols.
#![allow(clippy::unwrap_used, reason = "a failed setup is a failed test")]
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod app;
mod billing;
mod fal;
mod database;
mod pictures;

mod modes;
mod failures;
mod lost_answers;
mod restarts;
mod webhooks;
mod settling;
mod delivery;
mod doors;
mod add_text;
mod leases;
mod queue;
mod models;
mod bucket;
mod cancelling;
mod refusals;
mod processes;
