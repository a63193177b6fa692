//! GetStats: which days are asked for, and the sums as they are answered.

use std::time::Duration;

use proto::billing::v1 as wire;
use time::Date;
use tonic::Status;

use super::requests::{Read, moment};
use super::status::invalid;
use crate::domain::Sales;
use crate::ledger::BillingError;
use crate::store::StatsPeriod;

const DAYS_MAX: u64 = 400;
/// 14 hours: no clock on Earth is further from UTC.
const UTC_OFFSET_MAX: i32 = 840;
const USD_KOPECKS_MAX: i64 = 1_000_000;
const MICROS_OF_MINUTE: i64 = 60_000_000;
/// No message is larger than 1 MiB.
const ANSWER_MAX_BYTES: usize = 1_000_000;
/// The day and the numbers of a row, each at its longest.
const ROW_MAX_BYTES: usize = 128;
/// A row is never shorter than this, so no answer has more of them.
const ROWS_MAX: usize = ANSWER_MAX_BYTES / ROW_MAX_BYTES;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) period: StatsPeriod,
    /// What a dollar costs, if a margin is wanted.
    pub(super) usd_kopecks: Option<i64>,
}

pub(super) fn asked(request: &wire::GetStatsRequest) -> Read<Asked> {
    let bound = |field, time: Option<&prost_types::Timestamp>| {
        moment(field, time.ok_or_else(|| invalid(field, "must be present"))?)
    };
    let from = bound("from", request.from.as_ref())?;
    let to = bound("to", request.to.as_ref())?;
    if to <= from || to > from.plus(Duration::from_secs(DAYS_MAX * 86_400)) {
        return Err(invalid("to", "must be later than from, by at most 400 days"));
    }
    if !(-UTC_OFFSET_MAX..=UTC_OFFSET_MAX).contains(&request.utc_offset_minutes) {
        return Err(invalid("utc_offset_minutes", "must be -840 to 840"));
    }
    if request.usd_kopecks.is_some_and(|usd| !(1..=USD_KOPECKS_MAX).contains(&usd)) {
        return Err(invalid("usd_kopecks", "must be 1 to 1000000 kopecks"));
    }
    let utc_offset_micros = i64::from(request.utc_offset_minutes) * MICROS_OF_MINUTE;
    // One more than an answer has room for, which tells that there are more.
    let limit = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let period = StatsPeriod { from, to, utc_offset_micros, limit };
    Ok(Asked { period, usd_kopecks: request.usd_kopecks })
}

pub(super) fn answer(
    sales: Vec<Sales>,
    usd_kopecks: Option<i64>,
) -> Result<wire::GetStatsResponse, Status> {
    let weight = |row: &Sales| row.operation_type.len() + row.model.len() + ROW_MAX_BYTES;
    if sales.iter().map(weight).sum::<usize>() > ANSWER_MAX_BYTES {
        return Err(BillingError::StatsTooLarge.into());
    }
    let row = |sales: Sales| wire::StatsRow {
        day: day(sales.day),
        margin_kopecks: usd_kopecks.map(|usd| sales.margin_rounded_down(usd)),
        operation_type: sales.operation_type,
        model: sales.model,
        committed: sales.committed,
        committed_free: sales.committed_free,
        revenue_kopecks: sales.revenue_kopecks,
        refunds: sales.refunds,
        refunded_kopecks: sales.refunded_kopecks,
        cost_micro_usd: sales.cost_micro_usd,
        released: sales.released,
    };
    Ok(wire::GetStatsResponse { rows: sales.into_iter().map(row).collect() })
}

/// A day as people write it: `2026-11-25`.
fn day(since_1970: i64) -> String {
    let date = Date::from_ordinal_date(1970, 1).ok();
    let date = date.and_then(|first| first.checked_add(time::Duration::days(since_1970)));
    date.map(|date| date.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_would_be_too_large_is_refused() {
        let row = |number: usize| Sales {
            day: 20_000,
            operation_type: "generate".into(),
            model: format!("model-{number}"),
            committed: i64::MAX,
            committed_free: i64::MAX,
            revenue_kopecks: i64::MAX,
            refunds: i64::MAX,
            refunded_kopecks: i64::MAX,
            cost_micro_usd: i64::MAX,
            released: i64::MAX,
        };
        let rows = |count| (0..count).map(row).collect::<Vec<_>>();

        assert_eq!(answer(rows(6_000), Some(1)).unwrap().rows.len(), 6_000);
        for too_many in [7_500, ROWS_MAX + 1] {
            let refusal = answer(rows(too_many), Some(1)).unwrap_err();
            assert_eq!(refusal.code(), tonic::Code::ResourceExhausted);
            assert_eq!(proto::reason::of(&refusal).as_deref(), Some("STATS_TOO_LARGE"));
        }
    }

    #[test]
    fn a_day_is_written_as_people_write_it() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(20_782), "2026-11-25");
        assert_eq!(day(-1), "1969-12-31");
    }
}
