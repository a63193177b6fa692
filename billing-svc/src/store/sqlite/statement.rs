//! `entries` on SQLite, read for statements.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use crate::domain::UserId;
use crate::store::statement::{STATEMENT, statement_entry};
use crate::store::{Answer, StatementEntry, StatementPage, Statements};

fn read(row: &SqliteRow) -> Answer<StatementEntry> {
    statement_entry!(row)
}

impl Statements for SqliteStore {
    async fn statement_page(
        &self,
        user: UserId,
        page: StatementPage,
    ) -> Answer<Vec<StatementEntry>> {
        let rows = sqlx::query(STATEMENT)
            .bind(user.get())
            .bind(page.below)
            .bind(page.from.as_micros())
            .bind(page.to.as_micros())
            .bind(page.limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(read).collect()
    }
}
