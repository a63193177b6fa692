//! What an emulator was asked: the last thousand calls, for tests and for a curious reader.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// How many are kept.
const KEPT: usize = 1000;

/// `2026-07-18T10:51:18.139Z`.
const RFC_3339_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The last thousand of something, oldest first.
#[derive(Debug)]
pub struct Seen<T> {
    last: Mutex<VecDeque<T>>,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self { last: Mutex::default() }
    }
}

impl<T: Clone> Seen<T> {
    /// Remembers one, forgets the oldest.
    pub fn push(&self, one: T) {
        let mut last = self.lock();
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(one);
    }

    /// All that are remembered, oldest first.
    pub fn all(&self) -> Vec<T> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call of an emulated API.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// YooKassa's `Idempotence-Key`, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotence_key: Option<String>,
    /// Status of the answer; 0 where the connection was closed without one.
    pub status: u16,
    /// When the answer was ready.
    pub at: String,
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

/// A moment as the APIs write it.
pub fn timestamp(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|moment| moment.format(RFC_3339_MILLIS).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00.000Z".to_owned())
}

/// A moment as clients write it, in milliseconds since 1970.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let moment =
        OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}
