//! `referrals`: who came by whose link.

use sqlx::Row as _;

use super::{Store, StoreError, now_ms};

/// What somebody's link has brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Referred {
    /// People who came.
    pub came: i64,
    /// Of these, those who have paid in.
    pub paid: i64,
    /// Free operations that it earned.
    pub earned: i64,
}

impl Store {
    /// Keeps by whose link somebody came, unless that is known already.
    pub async fn keep_referral(&self, user_id: i64, referrer_id: i64) -> Result<(), StoreError> {
        sqlx::query(
            "insert into referrals (user_id, referrer_id, created_ms)
             values ($1, $2, $3)
             on conflict (user_id) do nothing",
        )
        .bind(user_id)
        .bind(referrer_id)
        .bind(now_ms())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// By whose link somebody came, while nobody was rewarded for it.
    pub async fn unrewarded_referrer(&self, user_id: i64) -> Result<Option<i64>, StoreError> {
        let row =
            sqlx::query("select referrer_id from referrals where user_id = $1 and rewarded_ms = 0")
                .bind(user_id)
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|row| row.try_get("referrer_id")).transpose()?)
    }

    /// Both were rewarded, each with so many free operations.
    pub async fn referral_rewarded(&self, user_id: i64, each: i64) -> Result<(), StoreError> {
        sqlx::query(
            "update referrals
             set rewarded_ms = $2, free_operations = $3
             where user_id = $1 and rewarded_ms = 0",
        )
        .bind(user_id)
        .bind(now_ms())
        .bind(each)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What somebody's link has brought.
    pub async fn referred(&self, referrer_id: i64) -> Result<Referred, StoreError> {
        let row = sqlx::query(
            "select cast(count(*) as bigint) as came,
                 cast(coalesce(sum(case when rewarded_ms > 0 then 1 else 0 end), 0) as bigint)
                     as paid,
                 cast(coalesce(sum(free_operations), 0) as bigint) as earned
             from referrals
             where referrer_id = $1",
        )
        .bind(referrer_id)
        .fetch_one(&self.pool)
        .await?;
        Ok(Referred {
            came: row.try_get("came")?,
            paid: row.try_get("paid")?,
            earned: row.try_get("earned")?,
        })
    }
}
