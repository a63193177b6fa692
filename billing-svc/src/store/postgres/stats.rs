//! Sums of `entries` and `operation_records` on PostgreSQL.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use crate::domain::Sales;
use crate::store::stats::{SALES, sales};
use crate::store::{Answer, Stats, StatsPeriod};

fn read(row: &PgRow) -> Answer<Sales> {
    sales!(row)
}

impl Stats for PostgresStore {
    async fn sales(&self, period: StatsPeriod) -> Answer<Vec<Sales>> {
        let rows = sqlx::query(SALES)
            .bind(period.from.as_micros())
            .bind(period.to.as_micros())
            .bind(period.utc_offset_micros)
            .bind(period.limit)
            .fetch_all(&self.reports)
            .await?;
        rows.iter().map(read).collect()
    }
}
