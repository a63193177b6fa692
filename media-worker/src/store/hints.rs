//! What webhooks said: a request of a job is over.

use sqlx::Row as _;

use crate::domain::JobKey;

use super::rows::key;
use super::{Store, StoreError};

impl Store {
    /// Remembers that the request with this token is over; `None` where no job waits for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hint(
        &self,
        token: &str,
        request_id: &str,
        now: i64,
    ) -> Result<Option<JobKey>, StoreError> {
        let row = sqlx::query(
            "update jobs set hinted_at = $1, hint_request_id = $2 where webhook_token = $3 \
             and state in ('submitting', 'submitted') returning user_id, operation_id",
        )
        .bind(now)
        .bind(request_id.to_owned())
        .bind(token.to_owned())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(key).transpose()
    }

    /// Jobs whose requests are over, as webhooks said.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hinted(&self) -> Result<Vec<JobKey>, StoreError> {
        let rows = sqlx::query(
            "select user_id, operation_id from jobs where hinted_at is not null \
             and state in ('submitting', 'submitted')",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(key).collect()
    }

    /// How fal.ai calls a request whose answer was lost, if a webhook said so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hinted_request(&self, of: JobKey) -> Result<Option<String>, StoreError> {
        let row = sqlx::query(
            "select hint_request_id from jobs where user_id = $1 and operation_id = $2 \
             and hint_request_id is not null",
        )
        .bind(of.user.get())
        .bind(of.operation.to_string())
        .fetch_optional(&self.pool)
        .await?;
        let id: Option<String> = row.map(|row| row.try_get("hint_request_id")).transpose()?;
        Ok(id.filter(|id| !id.is_empty()))
    }
}
