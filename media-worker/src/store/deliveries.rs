//! Telling ends: an ended job is lent to one watcher at a time, in order per user, until it is
//! acknowledged; some time later its contents are forgotten.

use sqlx::Row as _;

use crate::domain::{Job, JobKey};

use super::rows::{job, job_columns, key};
use super::{Store, StoreError};

/// How many candidates are looked at: other watchers may take the first ones at the same time.
const CANDIDATES: i64 = 16;

impl Store {
    /// Lends the end that waits longest, of those that are their user's first unacknowledged one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lend_ended(&self, now: i64, until: i64) -> Result<Option<Job>, StoreError> {
        let candidates = sqlx::query(
            "select j.user_id, j.operation_id from jobs j \
             where j.end_number is not null and j.acked_at is null \
             and (j.lent_until is null or j.lent_until <= $1) \
             and not exists (select 1 from jobs e where e.user_id = j.user_id \
               and e.end_number is not null and e.acked_at is null \
               and e.end_number < j.end_number) \
             order by j.ended_at limit $2",
        )
        .bind(now)
        .bind(CANDIDATES)
        .fetch_all(&self.pool)
        .await?;
        for row in candidates {
            let key = key(&row)?;
            let lent = sqlx::query(concat!(
                "update jobs set lent_until = $1 where user_id = $2 and operation_id = $3 \
                 and acked_at is null and (lent_until is null or lent_until <= $4) returning ",
                job_columns!()
            ))
            .bind(until)
            .bind(key.user.get())
            .bind(key.operation.to_string())
            .bind(now)
            .fetch_optional(&self.pool)
            .await?;
            if let Some(row) = lent {
                return Ok(Some(job(&row)?));
            }
        }
        Ok(None)
    }

    /// Takes an end off the list; says whether it was on it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ack(&self, key: JobKey, now: i64) -> Result<bool, StoreError> {
        let acked = sqlx::query(
            "update jobs set acked_at = $1, lent_until = null where user_id = $2 \
             and operation_id = $3 and end_number is not null and acked_at is null",
        )
        .bind(now)
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(acked > 0)
    }

    /// Jobs acknowledged before `acked_before` whose contents are still kept, with the name of
    /// their picture.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn to_forget(
        &self,
        acked_before: i64,
        limit: i64,
    ) -> Result<Vec<(JobKey, Option<String>)>, StoreError> {
        sqlx::query(
            "select user_id, operation_id, result_file from jobs \
             where acked_at is not null and forgotten = 0 and acked_at < $1 \
             order by acked_at limit $2",
        )
        .bind(acked_before)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| Ok((key(row)?, row.try_get("result_file")?)))
        .collect()
    }

    /// Empties what the user sent and got; the row stays, so that a repeat finds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(&self, key: JobKey) -> Result<(), StoreError> {
        sqlx::query(
            "update jobs set prompt = '', fal_body = null, result_file = null, forgotten = 1 \
             where user_id = $1 and operation_id = $2 and acked_at is not null",
        )
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether a picture of this name belongs to one of the user's jobs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn knows_result(&self, key: JobKey, file: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "select result_file from jobs where user_id = $1 and operation_id = $2 \
             and result_file = $3",
        )
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .bind(file)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }
}
