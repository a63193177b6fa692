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

/// Moscow has kept this offset from UTC since 2014.
const MOSCOW_AHEAD_S: i64 = 3 * 60 * 60;

/// The day in Moscow, as `YYYY-MM-DD`.
pub fn moscow_day(moment: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(moment.div_euclid(1000) + MOSCOW_AHEAD_S);
    at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH).date().to_string()
}

/// How long until a moment; zero when it is over.
pub fn until(moment: i64) -> Duration {
    Duration::from_millis(u64::try_from(moment.saturating_sub(now_ms())).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_moscow() {
        let check = |moment, day: &str| assert_eq!(moscow_day(moment), day, "{moment}");
        check(0, "1970-01-01");
        check(1_764_190_799_999, "2025-11-26");
        check(1_764_190_800_000, "2025-11-27");
    }
}
