//! What was sold, summed by the database: every entry of some days, of all users.

use std::future::Future;
use std::time::Duration;

use super::{Answer, Engine};
use crate::domain::{Sales, Timestamp};

/// Longer than any other statement may take, and no longer than a person waits.
pub(super) const STATS_TIMEOUT: Duration = Duration::from_secs(60);
/// Each of them is a pass over a part of the ledger; more at once make all of them slower.
pub(super) const STATS_CONNECTIONS: u32 = 2;

/// The days that are asked for.
#[derive(Clone, Copy, Debug)]
pub struct StatsPeriod {
    pub from: Timestamp,
    pub to: Timestamp,
    /// When the days begin, in microseconds east of UTC.
    pub utc_offset_micros: i64,
    /// The most rows that are answered.
    pub limit: i64,
}

/// The tables `entries` and `operation_records`, summed.
pub trait Stats: Engine {
    /// Sums by day, type and model, in no order: the engines sort texts differently. On connections
    /// of its own, so that it is in
    /// nobody's way; one that takes too long ends as [`StoreError::Blocked`].
    ///
    /// [`StoreError::Blocked`]: super::StoreError::Blocked
    fn sales(&self, period: StatsPeriod) -> impl Future<Output = Answer<Vec<Sales>>> + Send;
}

/// The statement, for both engines.
pub(super) const SALES: &str = include_str!("stats.sql");

macro_rules! sales {
    ($row:expr) => {{
        use $crate::domain::Sales;
        let row = $row;
        Ok(Sales {
            day: row.try_get("day")?,
            operation_type: row.try_get("operation_type")?,
            model: row.try_get("model")?,
            committed: row.try_get("committed")?,
            committed_free: row.try_get("committed_free")?,
            revenue_kopecks: row.try_get("revenue_kopecks")?,
            refunds: row.try_get("refunds")?,
            refunded_kopecks: row.try_get("refunded_kopecks")?,
            cost_micro_usd: row.try_get("cost_micro_usd")?,
            released: row.try_get("released")?,
        })
    }};
}

pub(super) use sales;
