//! The SQL: one module per table, one function per statement, one text for both engines.
//!
//! Invariant: on SQLite there is one connection and one process, so that no write meets another;
//! on PostgreSQL a statement, or the one transaction in [`inbox`], is the unit.

mod connect;
mod inbox;
mod dialogues;
mod jobs;
mod referrals;
mod told;
mod top_ups;

use std::time::{SystemTime, UNIX_EPOCH};

pub use connect::{Store, StoreError};
pub use inbox::{Attempt, NO_CHAT, Received, Waiting};
pub use jobs::{Job, JobState, Source};
pub use referrals::Referred;

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
