//! `jobs`: purchases, from the moment their hold is known.

use std::fmt;
use std::str::FromStr;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::mode::Mode;
use crate::money::Kopecks;

use super::{Store, StoreError, now_ms};

/// What paid for an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// One free operation.
    FreeOperation,
    /// The balance.
    Balance,
    /// Free access until a date, by a promo code.
    FreeAccess,
}

/// Where a purchase stands for the bot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JobState {
    /// SubmitJob is not answered yet.
    Submitting,
    /// SubmitJob was refused, and Refund is not answered yet.
    Refunding,
    /// media-worker has it.
    Submitted,
    /// The user was told how it ended.
    Ended,
}

/// One purchase.
#[derive(Clone, Debug)]
pub struct Job {
    /// The operation, and the name of the job.
    pub operation_id: String,
    /// Who bought it.
    pub user_id: i64,
    /// Where the result goes.
    pub chat_id: i64,
    /// What is done.
    pub mode: Mode,
    /// What paid.
    pub source: Source,
    /// What it costs.
    pub price: Kopecks,
    /// The message that shows how it goes on; 0 if it could not be sent.
    pub status_message_id: i32,
    /// Where it stands.
    pub state: JobState,
    /// Prompt, inputs and choices; emptied after a while.
    pub request: String,
    /// Reason code of the refusal.
    pub refusal: String,
    /// How often SubmitJob or Refund was left without an answer.
    pub attempts: i64,
}

impl Store {
    /// Keeps a purchase, unless it is there already.
    ///
    /// `next_try_ms` keeps the background away from what its handler is about to submit.
    pub async fn add_job(&self, job: &Job, next_try_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "insert into jobs (operation_id, user_id, chat_id, mode, source, price_kopecks,
                 status_message_id, state, request, next_try_ms, created_ms)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             on conflict (operation_id) do nothing",
        )
        .bind(job.operation_id.as_str())
        .bind(job.user_id)
        .bind(job.chat_id)
        .bind(job.mode.name())
        .bind(job.source.to_string())
        .bind(job.price.get())
        .bind(i64::from(job.status_message_id))
        .bind(job.state.to_string())
        .bind(job.request.as_str())
        .bind(next_try_ms)
        .bind(now_ms())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// One purchase.
    pub async fn job(&self, operation_id: &str) -> Result<Option<Job>, StoreError> {
        let row = sqlx::query(
            "select operation_id, user_id, chat_id, mode, source, price_kopecks,
                 status_message_id, state, request, refusal, attempts
             from jobs
             where operation_id = $1",
        )
        .bind(operation_id)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Purchases whose SubmitJob or Refund should be sent again by now, oldest first.
    pub async fn overdue_jobs(&self, now_ms: i64, limit: i64) -> Result<Vec<Job>, StoreError> {
        let rows = sqlx::query(
            "select operation_id, user_id, chat_id, mode, source, price_kopecks,
                 status_message_id, state, request, refusal, attempts
             from jobs
             where state in ('submitting', 'refunding') and next_try_ms <= $1
             order by next_try_ms
             limit $2",
        )
        .bind(now_ms)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Puts the next try of a purchase off.
    pub async fn put_job_off(&self, operation_id: &str, until_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "update jobs
             set attempts = attempts + 1, next_try_ms = $2
             where operation_id = $1",
        )
        .bind(operation_id)
        .bind(until_ms)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// SubmitJob was answered. An ended purchase stays ended.
    pub async fn job_submitted(&self, operation_id: &str) -> Result<(), StoreError> {
        sqlx::query(
            "update jobs
             set state = 'submitted'
             where operation_id = $1 and state = 'submitting'",
        )
        .bind(operation_id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// SubmitJob was refused: the money is to be given back.
    pub async fn job_refused(&self, operation_id: &str, refusal: &str) -> Result<(), StoreError> {
        sqlx::query(
            "update jobs
             set state = 'refunding', refusal = $2, attempts = 0
             where operation_id = $1 and state = 'submitting'",
        )
        .bind(operation_id)
        .bind(refusal)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The user was told how it ended.
    pub async fn job_ended(&self, operation_id: &str) -> Result<(), StoreError> {
        sqlx::query("update jobs set state = 'ended' where operation_id = $1")
            .bind(operation_id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets how those works were made that were bought before that time and are settled.
    pub async fn purge_requests(&self, before_ms: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "update jobs
             set request = ''
             where created_ms < $1 and state in ('submitted', 'ended') and request <> ''",
        )
        .bind(before_ms)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Forgets purchases that were made before that time and are settled.
    pub async fn purge_jobs(&self, before_ms: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "delete from jobs
             where created_ms < $1 and state in ('submitted', 'ended')",
        )
        .bind(before_ms)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

fn read(row: &AnyRow) -> Result<Job, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let mode = Mode::by_name(&text("mode")?).ok_or(StoreError::Corrupt("mode"))?;
    let status_message: i64 = row.try_get("status_message_id")?;
    Ok(Job {
        operation_id: text("operation_id")?,
        user_id: row.try_get("user_id")?,
        chat_id: row.try_get("chat_id")?,
        mode,
        source: text("source")?.parse()?,
        price: Kopecks::new(row.try_get("price_kopecks")?),
        status_message_id: i32::try_from(status_message)
            .map_err(|_| StoreError::Corrupt("message id"))?,
        state: text("state")?.parse()?,
        request: text("request")?,
        refusal: text("refusal")?,
        attempts: row.try_get("attempts")?,
    })
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FreeOperation => "free_operation",
            Self::Balance => "balance",
            Self::FreeAccess => "free_access",
        })
    }
}

impl FromStr for Source {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text {
            "free_operation" => Ok(Self::FreeOperation),
            "balance" => Ok(Self::Balance),
            "free_access" => Ok(Self::FreeAccess),
            _ => Err(StoreError::Corrupt("source")),
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Submitting => "submitting",
            Self::Refunding => "refunding",
            Self::Submitted => "submitted",
            Self::Ended => "ended",
        })
    }
}

impl FromStr for JobState {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text {
            "submitting" => Ok(Self::Submitting),
            "refunding" => Ok(Self::Refunding),
            "submitted" => Ok(Self::Submitted),
            "ended" => Ok(Self::Ended),
            _ => Err(StoreError::Corrupt("job state")),
        }
    }
}
