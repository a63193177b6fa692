//! `told`: what users were told of what can be handed to us twice.

use super::{Store, StoreError, now_ms};

impl Store {
    /// Whether the user was told.
    pub async fn was_told(&self, what: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("select what from told where what = $1")
            .bind(what)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Keeps that the user was told.
    pub async fn keep_told(&self, what: &str) -> Result<(), StoreError> {
        sqlx::query(
            "insert into told (what, told_ms) values ($1, $2) on conflict (what) do nothing",
        )
        .bind(what)
        .bind(now_ms())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets what was told before that time.
    pub async fn purge_told(&self, before_ms: i64) -> Result<u64, StoreError> {
        let done = sqlx::query("delete from told where told_ms < $1")
            .bind(before_ms)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }
}
