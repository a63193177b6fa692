//! Refusals of content: how many were given back to a user today.

use sqlx::Row as _;

use crate::domain::{Failure, UserId};

use super::steps::{Lease, refused};
use super::{Store, StoreError};

/// How a refusal is settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusalSettled {
    /// What was taken comes back; so many more will today.
    GivenBack {
        /// How many.
        left: i64,
    },
    /// The day's number was used up: the operation is committed.
    Charged,
}

impl Store {
    /// How many refusals were given back to a user on a day.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refusals_given_back(&self, user: UserId, day: &str) -> Result<i64, StoreError> {
        let row = sqlx::query("select given_back from refusals where user_id = $1 and day = $2")
            .bind(user.get())
            .bind(day.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        row.map_or(Ok(0), |row| Ok(row.try_get("given_back")?))
    }

    /// Forgets the counts of days before this one; they bound nothing any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_refusals_before(&self, day: &str) -> Result<(), StoreError> {
        sqlx::query("delete from refusals where day < $1")
            .bind(day.to_owned())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// `submitted → refunding`, counted, or `submitted → charging` where the user has had `max`
    /// back on this day already.
    ///
    /// # Errors
    /// When the lease is lost, or the database fails.
    pub async fn refuse(
        &self,
        lease: &Lease,
        why: &Failure,
        (day, max): (&str, i64),
    ) -> Result<RefusalSettled, StoreError> {
        let user = lease.key().user.get();
        let mut tx = self.begin().await?;
        // Made first, then counted up where there is room: two refusals at once wait here.
        sqlx::query(
            "insert into refusals (user_id, day, given_back) values ($1, $2, 0) \
             on conflict (user_id, day) do nothing",
        )
        .bind(user)
        .bind(day.to_owned())
        .execute(&mut *tx)
        .await?;
        let counted = sqlx::query(
            "update refusals set given_back = given_back + 1 \
             where user_id = $1 and day = $2 and given_back < $3 returning given_back",
        )
        .bind(user)
        .bind(day.to_owned())
        .bind(max)
        .fetch_optional(&mut *tx)
        .await?;
        let settled = match counted {
            Some(row) => {
                let given_back: i64 = row.try_get("given_back")?;
                RefusalSettled::GivenBack { left: max.saturating_sub(given_back) }
            }
            None => RefusalSettled::Charged,
        };
        let moved = refused(lease, why, settled).execute(&mut *tx).await?.rows_affected();
        if moved == 0 {
            tx.rollback().await?;
            return Err(StoreError::LeaseLost);
        }
        tx.commit().await?;
        Ok(settled)
    }
}
