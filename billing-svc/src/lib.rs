//! Prepaid credit with reservations: accounts, operations, top-ups, the ledger and events.
//!
//! Read [`domain`] for the rules, [`ledger`] for how a write is decided and stored, [`store`] for
//! the SQL, [`grpc`] for the door, and [`server`] for how it is put together.

pub mod domain;
pub mod clock;
pub mod ledger;
pub mod store;
pub mod grpc;
pub mod config;
pub mod price_file;
pub mod server;
pub mod report;
pub mod process;
