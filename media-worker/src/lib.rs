//! Runs jobs at fal.ai and settles their operations; draws text onto pictures itself.
//!
//! Read `domain::Stage` first: it is the life of a job. Then `worker` (who takes the steps),
//! `fal` (what is said to the provider), `store` (what lasts), `grpc` (the door).

pub mod config;
pub mod server;
pub mod grpc;
pub mod webhook;
pub mod worker;
pub mod settings;
mod prices;
pub mod board;
pub mod clock;
pub mod fal;
pub mod store;
pub mod domain;
pub mod picture;
pub mod inspector;
pub mod add_text;
