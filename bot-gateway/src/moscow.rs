//! Times as users read them: in Moscow, whatever the machine's zone is.

use prost_types::Timestamp;
use time::format_description::StaticFormatDescription;
use time::macros::{format_description, offset};
use time::{Duration, OffsetDateTime, Time};

const DATE: StaticFormatDescription = format_description!("[day].[month].[year]");
const MINUTE: StaticFormatDescription = format_description!("[day].[month].[year] [hour]:[minute]");

/// A moment of the contract, in Moscow; `None` for one that no calendar has.
pub fn time(at: &Timestamp) -> Option<OffsetDateTime> {
    let moment = OffsetDateTime::from_unix_timestamp(at.seconds).ok()?;
    moment.checked_to_offset(offset!(+3))
}

/// Now, in Moscow.
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().to_offset(offset!(+3))
}

/// The begin of the day so many days before a moment.
pub fn days_before(at: OffsetDateTime, days: i64) -> OffsetDateTime {
    (at - Duration::days(days)).replace_time(Time::MIDNIGHT)
}

/// `27.11.2026`.
pub fn date(at: OffsetDateTime) -> String {
    at.format(&DATE).unwrap_or_default()
}

/// `27.11.2026 22:31`.
pub fn minute(at: OffsetDateTime) -> String {
    at.format(&MINUTE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_evening_in_london_is_the_next_day_in_moscow() {
        // 2026-11-27 21:30:00 UTC.
        let at = time(&Timestamp { seconds: 1_795_815_000, nanos: 0 }).unwrap();

        assert_eq!((date(at), minute(at)), ("28.11.2026".into(), "28.11.2026 00:30".into()));
        assert_eq!(time(&Timestamp { seconds: i64::MAX, nanos: 0 }), None);
    }
}
