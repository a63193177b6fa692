//! Sums of `entries` and `operation_records` on SQLite.

use std::time::Instant;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use crate::domain::Sales;
use crate::store::stats::{SALES, STATS_TIMEOUT, sales};
use crate::store::{Answer, Stats, StatsPeriod};

/// How many of its own steps SQLite takes before it looks at the time: some milliseconds' worth.
const STEPS: i32 = 100_000;

fn read(row: &SqliteRow) -> Answer<Sales> {
    sales!(row)
}

impl Stats for SqliteStore {
    async fn sales(&self, period: StatsPeriod) -> Answer<Vec<Sales>> {
        let mut connection = self.reports.acquire().await?;
        // Its time is over one day: nobody else may be given it.
        connection.close_on_drop();
        let end = Instant::now() + STATS_TIMEOUT;
        connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < end);
        let rows = sqlx::query(SALES)
            .bind(period.from.as_micros())
            .bind(period.to.as_micros())
            .bind(period.utc_offset_micros)
            .bind(period.limit)
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(read).collect()
    }
}
