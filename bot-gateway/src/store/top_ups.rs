//! `top_ups`: payment links that were sent.

use sqlx::Row as _;

use super::{Store, StoreError, now_ms};

impl Store {
    /// Keeps which message has the link of a top-up.
    pub async fn keep_top_up(
        &self,
        top_up_id: &str,
        chat_id: i64,
        message_id: i32,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into top_ups (top_up_id, chat_id, message_id, created_ms)
             values ($1, $2, $3, $4)
             on conflict (top_up_id) do update set message_id = excluded.message_id",
        )
        .bind(top_up_id)
        .bind(chat_id)
        .bind(i64::from(message_id))
        .bind(now_ms())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The message that has the link of a top-up.
    pub async fn top_up_message(&self, top_up_id: &str) -> Result<Option<i32>, StoreError> {
        let row = sqlx::query("select message_id from top_ups where top_up_id = $1")
            .bind(top_up_id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            let id: i64 = row.try_get("message_id")?;
            i32::try_from(id).map_err(|_| StoreError::Corrupt("message id"))
        })
        .transpose()
    }

    /// Forgets links that were sent before that time.
    pub async fn purge_top_ups(&self, before_ms: i64) -> Result<u64, StoreError> {
        let done = sqlx::query("delete from top_ups where created_ms < $1")
            .bind(before_ms)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }
}
