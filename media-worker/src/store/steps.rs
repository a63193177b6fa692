//! The steps of a claimed job, one function per transition.
//!
//! Each names the lease and the stage that it leaves: when either is no longer so, nothing is
//! changed and the answer is [`StoreError::LeaseLost`].

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::domain::{Failure, FalRequest, JobKey, MicroUsd, ResultPicture, Submission};

use super::refusals::RefusalSettled;
use super::{Store, StoreError};

/// Two workers may give the same user's jobs the same number; all but one of them try again.
const NUMBER_TRIES: u32 = 20;

/// What every end sets; `$4` is now. The user's next number: another worker that ends a job of
/// the same user at this moment meets the unique key.
macro_rules! ended {
    () => {
        "ended_at = $4, lease_token = null, lease_until = null, end_number = \
         (select coalesce(max(e.end_number), 0) + 1 from jobs e where e.user_id = $1)"
    };
}

/// The right to change one job, for a while.
#[derive(Clone, Debug)]
pub struct Lease {
    key: JobKey,
    token: String,
}

impl Lease {
    pub(super) fn fresh(key: JobKey) -> Self {
        Self { key, token: Uuid::new_v4().to_string() }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The job.
    pub fn key(&self) -> JobKey {
        self.key
    }
}

pub(super) type Bound = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

/// `update jobs set <changes> where <the job under this lease and in one of these states>`;
/// `$1 … $3` are the job and the lease, the changes' values follow.
fn step(lease: &Lease, changes: &'static str, from: &'static str) -> Bound {
    let sql = format!(
        "update jobs set {changes} where user_id = $1 and operation_id = $2 and lease_token = $3 \
         and state in ({from})"
    );
    // Safe: both parts are constants of this file.
    sqlx::query(AssertSqlSafe(sql))
        .bind(lease.key.user.get())
        .bind(lease.key.operation.to_string())
        .bind(lease.token.clone())
}

/// A job that is given back before anything was sent leaves its place to others.
macro_rules! place_kept {
    () => {
        "place = case when state = 'queued' then null else place end"
    };
}

/// `submitted → refunding | charging`: the provider refused the content.
pub(super) fn refused(lease: &Lease, why: &Failure, settled: RefusalSettled) -> Bound {
    let (state, left) = match settled {
        RefusalSettled::GivenBack { left } => ("refunding", left),
        RefusalSettled::Charged => ("charging", 0),
    };
    let changes = "state = $4, failure_reason = $5, failure_detail = $6, refusals_left = $7, \
                   tries = 0, place = null";
    step(lease, changes, "'submitted'")
        .bind(state)
        .bind(why.reason.name())
        .bind(why.detail.clone())
        .bind(left)
}

const OPEN: &str = "'queued', 'submitting', 'submitted', 'committing', 'charging', \
                    'refunding'";

impl Store {
    async fn take(&self, step: Bound) -> Result<(), StoreError> {
        match step.execute(&self.pool).await?.rows_affected() {
            0 => Err(StoreError::LeaseLost),
            _ => Ok(()),
        }
    }

    /// Moves the end of the lease.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn renew(&self, lease: &Lease, until: i64) -> Result<(), StoreError> {
        self.take(step(lease, "lease_until = $4", OPEN).bind(until)).await
    }

    /// Gives the job back as it is, to go on at once: the process ends.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        let changes =
            concat!("lease_token = null, lease_until = null, attempts = 0, ", place_kept!());
        self.take(step(lease, changes, OPEN)).await
    }

    /// Gives the job back, to be tried again at `run_at`.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn put_off(&self, lease: &Lease, run_at: i64) -> Result<(), StoreError> {
        let changes = concat!(
            "lease_token = null, lease_until = null, attempts = 0, tries = tries + 1, \
             run_at = $4, ",
            place_kept!()
        );
        self.take(step(lease, changes, OPEN).bind(run_at)).await
    }

    /// `queued → submitting`: from here on the provider may have it.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn submitting(&self, lease: &Lease, how: &Submission) -> Result<(), StoreError> {
        let changes = "state = 'submitting', endpoint = $4, fal_key_index = $5, fal_body = $6, \
                       submitted_at = $7, webhook_token = $8, hinted_at = null, \
                       hint_request_id = null";
        self.take(
            step(lease, changes, "'queued'")
                .bind(how.endpoint.clone())
                .bind(how.key_index)
                .bind(how.body.clone())
                .bind(how.at)
                .bind(how.webhook_token.clone()),
        )
        .await
    }

    /// `queued | submitting → queued`, without its place: it is certain that the provider did not take it. Given back, to be
    /// tried again at `run_at`.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn not_submitted(&self, lease: &Lease, run_at: i64) -> Result<(), StoreError> {
        let changes = "state = 'queued', lease_token = null, lease_until = null, attempts = 0, \
                       tries = tries + 1, run_at = $4, place = null";
        self.take(step(lease, changes, "'queued', 'submitting'").bind(run_at)).await
    }

    /// `submitting | submitted → queued`, in the same hands and with the same place: an endpoint
    /// failed, and is not asked again.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn take_over(&self, lease: &Lease, failed: &[String]) -> Result<(), StoreError> {
        let failed = serde_json::to_string(failed)
            .map_err(|_| StoreError::Unreadable("endpoints_failed"))?;
        let changes = "state = 'queued', endpoints_failed = $4, endpoint = null, fal_body = null, \
                       submitted_at = null, fal_request_id = null, fal_status_url = null, \
                       fal_response_url = null, fal_cancel_url = null, webhook_token = null, \
                       hinted_at = null, hint_request_id = null, tries = 0";
        self.take(step(lease, changes, "'submitting', 'submitted'").bind(failed)).await
    }

    /// `submitting → submitted`.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn submitted(&self, lease: &Lease, request: &FalRequest) -> Result<(), StoreError> {
        let changes = "state = 'submitted', fal_request_id = $4, fal_status_url = $5, \
                       fal_response_url = $6, fal_cancel_url = $7, tries = 0";
        self.take(
            step(lease, changes, "'submitting'")
                .bind(request.id.clone())
                .bind(request.status_url.clone())
                .bind(request.response_url.clone())
                .bind(request.cancel_url.clone()),
        )
        .await
    }

    /// `submitted → committing`: the picture is stored.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn committing(
        &self,
        lease: &Lease,
        result: &ResultPicture,
        cost: MicroUsd,
    ) -> Result<(), StoreError> {
        let changes = "state = 'committing', result_file = $4, result_content_type = $5, \
                       result_size_bytes = $6, result_width = $7, result_height = $8, \
                       cost_micro_usd = $9, tries = 0, place = null";
        self.take(
            step(lease, changes, "'submitted'")
                .bind(result.file.clone())
                .bind(result.content_type.clone())
                .bind(result.size)
                .bind(result.width)
                .bind(result.height)
                .bind(cost.get()),
        )
        .await
    }

    /// `queued | submitting | submitted → refunding`. Where the provider may still be at work, the
    /// place is kept until `place_until`.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn refunding(
        &self,
        lease: &Lease,
        why: &Failure,
        place_until: Option<i64>,
    ) -> Result<(), StoreError> {
        let changes = "state = 'refunding', failure_reason = $4, failure_detail = $5, tries = 0, \
                       place = case when state = 'queued' or $6 = 0 then null else place end, \
                       place_until = $6";
        self.take(
            step(lease, changes, "'queued', 'submitting', 'submitted'")
                .bind(why.reason.name())
                .bind(why.detail.clone())
                .bind(place_until.unwrap_or(0)),
        )
        .await
    }

    /// `committing → succeeded`: billing has answered.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn succeeded(&self, lease: &Lease, now: i64) -> Result<(), StoreError> {
        self.end(|| {
            step(lease, concat!("state = 'succeeded', ", ended!()), "'committing'").bind(now)
        })
        .await
    }

    /// `committing | charging | refunding → failed`: billing has answered.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn failed(
        &self,
        lease: &Lease,
        why: &Failure,
        (is_charged, now): (bool, i64),
    ) -> Result<(), StoreError> {
        self.end(|| {
            let changes = concat!(
                "state = 'failed', failure_reason = $5, failure_detail = $6, charged = $7, ",
                ended!()
            );
            step(lease, changes, "'committing', 'charging', 'refunding'")
                .bind(now)
                .bind(why.reason.name())
                .bind(why.detail.clone())
                .bind(i64::from(is_charged))
        })
        .await
    }

    async fn end(&self, step: impl Fn() -> Bound) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.take(step()).await {
                Err(StoreError::Database(sqlx::Error::Database(error)))
                    if error.is_unique_violation() && tries < NUMBER_TRIES => {}
                done => return done,
            }
        }
    }
}
