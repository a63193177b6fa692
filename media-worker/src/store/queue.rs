//! Whose turn it is, and the places at the provider.
//!
//! Invariant: never more than `per_key` jobs of a key, nor `per_user` of a user, have a place, over
//! all processes: whoever begins a job holds the one row of `queue` meanwhile. A place is given up
//! only when the provider is known to be done, or some time after an end that it may not know of.

use std::collections::HashMap;

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use crate::domain::{Failure, FailureReason, Job, JobKey};

use super::rows::{job, job_columns, key};
use super::{Claim, Lease, Store, StoreError};

/// How much may be at the provider at once.
#[derive(Clone, Debug)]
pub struct Places {
    /// The keys that work may begin with, by their numbers.
    pub keys: Vec<i64>,
    /// Jobs of each key.
    pub per_key: i64,
    /// Jobs of each user.
    pub per_user: i64,
}

/// Where a page of jobs begins, in the order of their keys.
fn place(after: Option<JobKey>) -> (i64, String) {
    after.map_or((0, String::new()), |after| (after.user.get(), after.operation.to_string()))
}

/// The places that are taken.
#[derive(Debug, Default)]
struct Taken {
    by_key: HashMap<i64, Vec<i64>>,
    by_user: HashMap<i64, i64>,
}

impl Taken {
    /// The lowest free place of the key that has most of them.
    fn free(&self, places: &Places) -> Option<(i64, i64)> {
        let taken = |key: i64| self.by_key.get(&key).map_or(&[][..], Vec::as_slice);
        let key_index = *places.keys.iter().min_by_key(|key| taken(**key).len())?;
        let place = (0..places.per_key).find(|place| !taken(key_index).contains(place))?;
        Some((key_index, place))
    }

    /// Users who have as many as they may.
    fn full_users(&self, places: &Places) -> Vec<i64> {
        let full = self.by_user.iter().filter(|(_, count)| **count >= places.per_user);
        full.map(|(user, _)| *user).collect()
    }
}

impl Store {
    /// Claims the job whose turn it is, with a place at the provider; `None` when none waits or no
    /// place is free.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_next(
        &self,
        places: &Places,
        now: i64,
        lease_ms: i64,
    ) -> Result<Option<Claim>, StoreError> {
        if !self.anything_waits(now).await? {
            return Ok(None);
        }
        let mut tx = self.begin().await?;
        sqlx::query("update queue set begun_turn = begun_turn where id = 1")
            .execute(&mut *tx)
            .await?;
        sqlx::query("update jobs set place = null, place_until = null where place is not null and place_until <= $1")
            .bind(now)
            .execute(&mut *tx)
            .await?;
        let taken = taken(&mut tx).await?;
        let next = match taken.free(places) {
            Some(place) => next(&mut tx, &taken.full_users(places), now).await?.zip(Some(place)),
            None => None,
        };
        let Some(((key, turn), (key_index, place))) = next else {
            tx.commit().await?;
            return Ok(None);
        };
        let lease = Lease::fresh(key);
        let begun = sqlx::query(concat!(
            "update jobs set lease_token = $1, lease_until = $2, attempts = attempts + 1, \
             fal_key_index = $3, place = $4, place_until = null \
             where user_id = $5 and operation_id = $6 and state = 'queued' and place is null \
             returning ",
            job_columns!()
        ))
        .bind(lease.token())
        .bind(now.saturating_add(lease_ms))
        .bind(key_index)
        .bind(place)
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .fetch_optional(&mut *tx)
        .await?;
        sqlx::query("update queue set begun_turn = $1 where id = 1 and begun_turn < $1")
            .bind(turn)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        // Cancelled at this very moment: the next look finds another.
        begun.map(|row| Ok(Claim { job: job(&row)?, lease })).transpose()
    }

    /// Without a lock, so that an empty queue costs nothing.
    async fn anything_waits(&self, now: i64) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "select 1 as one from jobs where state = 'queued' and place is null \
             and run_at <= $1 limit 1",
        )
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }

    /// How many jobs will begin before this one, if it waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ahead_of(&self, job: &Job) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "select count(*) as ahead from jobs where state = 'queued' and place is null \
             and (turn < $1 or (turn = $1 and created_at < $2))",
        )
        .bind(job.turn)
        .bind(job.created_at)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get("ahead")?)
    }

    /// The jobs that will begin next, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting(&self, limit: i64) -> Result<Vec<Job>, StoreError> {
        sqlx::query(concat!(
            "select ",
            job_columns!(),
            " from jobs where state = 'queued' and place is null order by turn, created_at limit $1"
        ))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(job)
        .collect()
    }

    /// Gives up what has not begun before its deadline; says how many jobs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_up_overdue(&self, now: i64) -> Result<u64, StoreError> {
        let why = Failure::new(FailureReason::TimedOut, "not_begun_in_time");
        let given_up = sqlx::query(
            "update jobs set state = 'refunding', failure_reason = $1, failure_detail = $2, \
             lease_token = null, lease_until = null, attempts = 0, tries = 0, run_at = $3 \
             where state = 'queued' and place is null and deadline_at <= $3",
        )
        .bind(why.reason.name())
        .bind(why.detail)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(given_up.rows_affected())
    }

    /// Ends a job that waits, or is just being prepared: nothing of it was sent. Whoever holds it
    /// loses it. `false` when it does not wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_waiting(
        &self,
        key: JobKey,
        why: &Failure,
        now: i64,
    ) -> Result<bool, StoreError> {
        let ended = sqlx::query(
            "update jobs set state = 'refunding', failure_reason = $1, failure_detail = $2, \
             place = null, lease_token = null, lease_until = null, attempts = 0, tries = 0, \
             run_at = $3 where user_id = $4 and operation_id = $5 and state = 'queued'",
        )
        .bind(why.reason.name())
        .bind(why.detail.clone())
        .bind(now)
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(ended > 0)
    }

    /// Jobs that wait for a place and were made before then, after a key, in the order of keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_since(
        &self,
        made_before: i64,
        after: Option<JobKey>,
        limit: i64,
    ) -> Result<Vec<JobKey>, StoreError> {
        let (user, operation) = place(after);
        let rows = sqlx::query(
            "select user_id, operation_id from jobs where state = 'queued' and place is null \
             and created_at <= $1 and (user_id, operation_id) > ($2, $3) \
             order by user_id, operation_id limit $4",
        )
        .bind(made_before)
        .bind(user)
        .bind(operation)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(key).collect()
    }

    /// Jobs that have not ended, in the order of their keys, after one of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_keys(
        &self,
        after: Option<JobKey>,
        limit: i64,
    ) -> Result<Vec<JobKey>, StoreError> {
        let (user, operation) = place(after);
        let rows = sqlx::query(
            "select user_id, operation_id from jobs where state not in ('succeeded', 'failed') \
             and (user_id, operation_id) > ($1, $2) order by user_id, operation_id limit $3",
        )
        .bind(user)
        .bind(operation)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(key).collect()
    }

    /// Remembers that the user wants a submitted job to end; whoever follows it finds out by what
    /// the provider says.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask_cancel(&self, key: JobKey, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "update jobs set cancel_asked_at = $1, hinted_at = $1 where user_id = $2 and operation_id = $3 \
             and state = 'submitted' and cancel_asked_at is null",
        )
        .bind(now)
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether the user has asked for a job's end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_cancel_asked(&self, key: JobKey) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "select 1 as one from jobs where user_id = $1 and operation_id = $2 \
             and cancel_asked_at is not null",
        )
        .bind(key.user.get())
        .bind(key.operation.to_string())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }

    /// How many of the user's jobs have not ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_jobs(&self, user: crate::domain::UserId) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "select count(*) as open from jobs where user_id = $1 \
             and state not in ('succeeded', 'failed')",
        )
        .bind(user.get())
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get("open")?)
    }
}

async fn taken(tx: &mut Transaction<'static, Any>) -> Result<Taken, StoreError> {
    let rows =
        sqlx::query("select user_id, fal_key_index, place from jobs where place is not null")
            .fetch_all(&mut **tx)
            .await?;
    let mut taken = Taken::default();
    for row in rows {
        taken.by_key.entry(row.try_get("fal_key_index")?).or_default().push(row.try_get("place")?);
        *taken.by_user.entry(row.try_get("user_id")?).or_default() += 1;
    }
    Ok(taken)
}

/// The job whose turn it is, of users who may have one more. Read through the index `jobs_waiting`
/// in order, so users at their limit are passed over without a look at their rows.
async fn next(
    tx: &mut Transaction<'static, Any>,
    full_users: &[i64],
    now: i64,
) -> Result<Option<(JobKey, i64)>, StoreError> {
    let others = if full_users.is_empty() {
        String::new()
    } else {
        let numbers: Vec<_> = (2..full_users.len() + 2).map(|nth| format!("${nth}")).collect();
        format!("and user_id not in ({})", numbers.join(", "))
    };
    // Safe: only numbers of parameters were put in.
    let mut query = sqlx::query(AssertSqlSafe(format!(
        "select user_id, operation_id, turn from jobs where state = 'queued' and place is null \
         and run_at <= $1 {others} order by turn, created_at limit 1"
    )))
    .bind(now);
    for user in full_users {
        query = query.bind(*user);
    }
    let row = query.fetch_optional(&mut **tx).await?;
    row.map(|row| Ok((key(&row)?, row.try_get("turn")?))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(keys: &[i64]) -> Places {
        Places { keys: keys.to_vec(), per_key: 2, per_user: 1 }
    }

    #[test]
    fn the_emptiest_key_gives_its_lowest_free_place() {
        let mut taken = Taken::default();
        assert_eq!(taken.free(&places(&[0, 1])), Some((0, 0)));
        taken.by_key.insert(0, vec![1]);
        assert_eq!(taken.free(&places(&[0, 1])), Some((1, 0)));
        taken.by_key.insert(1, vec![0, 1]);
        assert_eq!(taken.free(&places(&[0, 1])), Some((0, 0)));
        taken.by_key.insert(0, vec![1, 0]);
        assert_eq!(taken.free(&places(&[0, 1])), None);
    }

    #[test]
    fn a_key_that_is_refused_gives_no_place() {
        let mut taken = Taken::default();
        taken.by_key.insert(1, vec![0]);
        assert_eq!(taken.free(&places(&[1])), Some((1, 1)));
        assert_eq!(taken.free(&places(&[])), None);
    }

    #[test]
    fn a_lowered_limit_is_kept_as_soon_as_places_are_given_up() {
        let mut taken = Taken::default();
        taken.by_key.insert(0, vec![0, 1, 2, 7]);
        taken.by_key.insert(1, vec![0, 1, 5]);
        assert_eq!(taken.free(&places(&[0, 1])), None);
    }

    #[test]
    fn users_at_their_limit_are_passed_over() {
        let mut taken = Taken::default();
        taken.by_user.insert(7, 1);
        taken.by_user.insert(8, 0);
        assert_eq!(taken.full_users(&places(&[0, 1])), [7]);
    }
}
