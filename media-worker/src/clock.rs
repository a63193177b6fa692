//! The time, as it is stored: milliseconds of the epoch.

use std::time::{Duration, SystemTime};

/// Now.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    millis(since)
}

/// A span in milliseconds.
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The moment that is `span` away from now.
pub fn in_ms(span: Duration) -> i64 {
    now_ms().saturating_add(millis(span))
}

/// How long until a moment; zero when it is over.
pub fn until(moment: i64) -> Duration {
    Duration::from_millis(u64::try_from(moment.saturating_sub(now_ms())).unwrap_or(0))
}
