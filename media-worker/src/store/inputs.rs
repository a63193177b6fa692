//! Pictures that users sent to be worked on. The bytes lie in the picture store.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::domain::{InputId, UserId};

use super::{Store, StoreError};

/// A picture to work on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Input {
    /// Its name.
    pub id: InputId,
    /// `image/jpeg`, `image/png` or `image/webp`.
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// Pixels, as it is looked at.
    pub width: i64,
    /// Pixels, as it is looked at.
    pub height: i64,
}

fn input(row: &AnyRow) -> Result<Input, StoreError> {
    let id: String = row.try_get("input_id")?;
    Ok(Input {
        id: id.parse().map_err(|_| StoreError::Unreadable("input_id"))?,
        content_type: row.try_get("content_type")?,
        size: row.try_get("size_bytes")?,
        width: row.try_get("width")?,
        height: row.try_get("height")?,
    })
}

impl Store {
    /// Finds the user's input with these bytes, and keeps it for another day.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_input(
        &self,
        user: UserId,
        sha256: &str,
        now: i64,
    ) -> Result<Option<Input>, StoreError> {
        let row = sqlx::query(
            "update inputs set touched_at = $1 where user_id = $2 and sha256 = $3 \
             returning input_id, content_type, size_bytes, width, height",
        )
        .bind(now)
        .bind(user.get())
        .bind(sha256)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(input).transpose()
    }

    /// Stores an input whose bytes are stored already; says whether it is new. If it is not, the
    /// same bytes came at the same moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_input(
        &self,
        user: UserId,
        sha256: &str,
        new: &Input,
        now: i64,
    ) -> Result<bool, StoreError> {
        let inserted = sqlx::query(
            "insert into inputs (user_id, input_id, sha256, content_type, size_bytes, width, \
             height, touched_at) values ($1, $2, $3, $4, $5, $6, $7, $8) \
             on conflict (user_id, sha256) do nothing",
        )
        .bind(user.get())
        .bind(new.id.to_string())
        .bind(sha256)
        .bind(&new.content_type)
        .bind(new.size)
        .bind(new.width)
        .bind(new.height)
        .bind(now)
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(inserted > 0)
    }

    /// Reads an input.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn input(&self, user: UserId, id: InputId) -> Result<Option<Input>, StoreError> {
        let row = sqlx::query(
            "select input_id, content_type, size_bytes, width, height from inputs \
             where user_id = $1 and input_id = $2",
        )
        .bind(user.get())
        .bind(id.to_string())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(input).transpose()
    }

    /// Drops inputs that nothing touched since `before`, and names those that are gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_inputs(
        &self,
        before: i64,
        limit: i64,
    ) -> Result<Vec<(UserId, InputId)>, StoreError> {
        // No look at jobs: a submit touches its inputs, and a job is given up long before a day.
        let old = sqlx::query(
            "select user_id, input_id from inputs where touched_at < $1 \
             order by touched_at limit $2",
        )
        .bind(before)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let mut dropped = Vec::new();
        for row in old {
            let user = UserId::new(row.try_get("user_id")?)
                .map_err(|_| StoreError::Unreadable("user_id"))?;
            let id: String = row.try_get("input_id")?;
            let gone = sqlx::query(
                "delete from inputs where user_id = $1 and input_id = $2 and touched_at < $3",
            )
            .bind(user.get())
            .bind(&id)
            .bind(before)
            .execute(&self.pool)
            .await?
            .rows_affected();
            if gone > 0 {
                dropped.push((user, id.parse().map_err(|_| StoreError::Unreadable("input_id"))?));
            }
        }
        Ok(dropped)
    }
}
