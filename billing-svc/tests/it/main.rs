//! billing-svc through its door: the real server in this process (or the real binary), on a
//! database of its own, once on SQLite and once on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a failed setup is a failed test")]
#![allow(clippy::panic, reason = "a failed check is a failed test")]

mod app;
mod app_admin;
mod books;
mod database;
mod rounds;
mod model;
mod wire;
mod raw;
mod contract;
mod crowd;
mod own_postgres;

mod accounts;
mod reserving;
mod dry_run;
mod prices;
mod ending;
mod expiring;
mod top_ups;
mod reversals;
mod promo;
mod promo_codes;
mod persons;
mod batches;
mod statement;
mod stats;
mod finding;
mod events;
mod bad_input;
mod at_once;
mod lost_answers;
mod operators;
mod everything;
mod verify;
mod verify_findings;
mod chain;
mod process;
mod histories;
mod hot_users;
mod ambiguous;
mod kills;
mod fuzz;
