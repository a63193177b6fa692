//! Jobs: making them, reading them, claiming them.

use sqlx::Row as _;

use crate::domain::{Format, Job, JobKey, Work};

use super::rows::{job, job_columns, key};
use super::{Lease, Store, StoreError};

/// How many candidates a claim looks at: others may take the first ones at the same time.
const CANDIDATES: i64 = 8;

/// A job to be made.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its name.
    pub key: JobKey,
    /// What is asked for.
    pub work: Work,
    /// Digest of what is asked for.
    pub payload_sha256: String,
    /// Request id of the call.
    pub request_id: String,
    /// Now, in milliseconds of the epoch.
    pub created_at: i64,
    /// When it is given up, in milliseconds of the epoch.
    pub deadline_at: i64,
}

/// What became of a submit.
#[derive(Debug)]
pub enum Submitted {
    /// It is stored now.
    New(Job),
    /// It was there before, and this is it now.
    Repeated(Job),
    /// The operation has a job with another payload.
    KeyReused,
    /// The user has no such input.
    InputNotFound,
}

/// Two kinds of steps, bounded apart: settling must go on while the provider is slow, and a
/// billing outage must not take the places of jobs at the provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// What has a place, until the provider is done.
    Work,
    /// Commit or Refund.
    Settle,
}

/// A job that was claimed.
#[derive(Debug)]
pub struct Claim {
    /// As it is now.
    pub job: Job,
    /// The right to change it.
    pub lease: Lease,
}

impl Store {
    /// Stores a job, unless its operation has one.
    ///
    /// # Errors
    /// When the database fails: then the job may or may not be stored.
    pub async fn submit_job(&self, new: &NewJob) -> Result<Submitted, StoreError> {
        let mut tx = self.begin().await?;
        let mut inputs: Vec<String> = new.work.inputs.iter().map(ToString::to_string).collect();
        let listed =
            serde_json::to_string(&inputs).map_err(|_| StoreError::Unreadable("inputs"))?;
        let inserted = sqlx::query(
            "insert into jobs (user_id, operation_id, mode, model, prompt, inputs, payload_sha256, \
             request_id, created_at, deadline_at, run_at, format, upscale_factor, turn) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
               (select max(turn) from (select begun_turn as turn from queue union all \
                select max(turn) + 1 from jobs where user_id = $1 \
                and state not in ('succeeded', 'failed')) as turns)) \
             on conflict (user_id, operation_id) do nothing",
        )
        .bind(new.key.user.get())
        .bind(new.key.operation.to_string())
        .bind(new.work.mode.name())
        .bind(&new.work.model)
        .bind(&new.work.prompt)
        .bind(listed)
        .bind(&new.payload_sha256)
        .bind(&new.request_id)
        .bind(new.created_at)
        .bind(new.deadline_at)
        .bind(new.created_at)
        .bind(new.work.choices.format.map(Format::name))
        .bind(new.work.choices.upscale_factor)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if inserted == 0 {
            tx.rollback().await?;
            return match self.job_with_payload(new.key).await? {
                Some((job, payload)) if payload == new.payload_sha256 => {
                    Ok(Submitted::Repeated(job))
                }
                _ => Ok(Submitted::KeyReused),
            };
        }
        // In one order for everyone, so that two submits never wait for each other.
        inputs.sort_unstable();
        inputs.dedup();
        for input in inputs {
            // Touched: the sweep leaves it alone for another day.
            let touched = sqlx::query(
                "update inputs set touched_at = $1 where user_id = $2 and input_id = $3",
            )
            .bind(new.created_at)
            .bind(new.key.user.get())
            .bind(input)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if touched == 0 {
                tx.rollback().await?;
                return Ok(Submitted::InputNotFound);
            }
        }
        tx.commit().await?;
        let job = self.job(new.key).await?.ok_or(StoreError::Unreadable("operation_id"))?;
        Ok(Submitted::New(job))
    }

    /// Reads a job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job(&self, key: JobKey) -> Result<Option<Job>, StoreError> {
        Ok(self.job_with_payload(key).await?.map(|(job, _)| job))
    }

    /// Reads a job and the digest of what was asked for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_with_payload(&self, key: JobKey) -> Result<Option<(Job, String)>, StoreError> {
        let row = sqlx::query(concat!(
            "select ",
            job_columns!(),
            ", payload_sha256 from jobs where user_id = $1 and operation_id = $2"
        ))
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok((job(&row)?, row.try_get("payload_sha256")?))).transpose()
    }

    /// How many jobs wait for a place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queued(&self) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "select count(*) as queued from jobs where state = 'queued' and place is null",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get("queued")?)
    }

    /// Claims the job that waits longest in a lane, if one waits. Jobs that wait for a place are
    /// not in it: see [`Store::begin_next`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(
        &self,
        lane: Lane,
        now: i64,
        lease_ms: i64,
    ) -> Result<Option<Claim>, StoreError> {
        let candidates = sqlx::query(match lane {
            Lane::Work => {
                "select user_id, operation_id from jobs \
                 where (state in ('submitting', 'submitted') \
                   or (state = 'queued' and place is not null)) \
                 and state not in ('succeeded', 'failed') and run_at <= $1 \
                 and (lease_until is null or lease_until <= $1) order by run_at limit $2"
            }
            Lane::Settle => {
                "select user_id, operation_id from jobs \
                 where state in ('committing', 'charging', 'refunding') \
                 and state not in ('succeeded', 'failed') and run_at <= $1 \
                 and (lease_until is null or lease_until <= $1) order by run_at limit $2"
            }
        })
        .bind(now)
        .bind(CANDIDATES)
        .fetch_all(&self.pool)
        .await?;
        for row in candidates {
            let lease = Lease::fresh(key(&row)?);
            let claimed = sqlx::query(concat!(
                "update jobs set lease_token = $1, lease_until = $2, attempts = attempts + 1 \
                 where user_id = $3 and operation_id = $4 \
                 and state not in ('succeeded', 'failed') \
                 and (state <> 'queued' or place is not null) and run_at <= $5 \
                 and (lease_until is null or lease_until <= $5) returning ",
                job_columns!()
            ))
            .bind(lease.token())
            .bind(now.saturating_add(lease_ms))
            .bind(lease.key().user.get())
            .bind(lease.key().operation.to_string())
            .bind(now)
            .fetch_optional(&self.pool)
            .await?;
            if let Some(row) = claimed {
                return Ok(Some(Claim { job: job(&row)?, lease }));
            }
        }
        Ok(None)
    }
}
