//! The whole of Media Lab as people meet it: the four shipped binaries and the sandbox, as
//! processes, over their real protocols, on SQLite and on PostgreSQL.
//!
//! [`world`] starts and kills them, [`person`] talks to the bot, [`books`] looks into billing's
//! store; then one file for each kind of promise.

#![allow(clippy::unwrap_used, reason = "a failed setup is a failed test")]
#![allow(
    clippy::panic,
    reason = "a promise that is not kept ends the test, and says what was seen"
)]
#![allow(clippy::print_stderr, reason = "a failed test shows what the processes logged")]

mod world;
mod person;
mod books;
mod seed;
mod modes;
mod kills;
mod lost_answers;
mod money_back;
mod pipeline;
mod media_campaign;
mod payments_campaign;
mod receipts;
mod outage;
mod stars;
mod accounts;
mod twice;
mod bad_input;
mod settings;
