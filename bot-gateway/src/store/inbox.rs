//! `inbox`: updates between Telegram and their handlers.

use sqlx::Row as _;

use crate::dialogue::{self, State};

use super::{Store, StoreError, now_ms};

/// The chat of updates that belong to none, and wait for no other.
pub const NO_CHAT: i64 = 0;

/// An update as it is received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Telegram's number of it.
    pub update_id: i64,
    /// The chat it belongs to; 0 if none.
    pub chat_id: i64,
    /// As Telegram sent it.
    pub body: String,
    /// When it was received: later updates have later times.
    pub received_ms: i64,
}

/// An update that waits for its handler.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// Telegram's number of it.
    pub update_id: i64,
    /// The chat it belongs to; 0 if none.
    pub chat_id: i64,
}

/// One attempt to handle an update.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// As Telegram sent it.
    pub body: String,
    /// Which attempt this is, from 1.
    pub number: i64,
}

impl Store {
    /// Stores a batch, all of it or nothing; answers with those that were not there before.
    pub async fn receive(&self, batch: &[Received]) -> Result<Vec<Waiting>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let mut fresh = Vec::with_capacity(batch.len());
        for update in batch {
            let done = sqlx::query(
                "insert into inbox (update_id, chat_id, body, received_ms)
                 values ($1, $2, $3, $4)
                 on conflict (update_id) do nothing",
            )
            .bind(update.update_id)
            .bind(update.chat_id)
            .bind(update.body.as_str())
            .bind(update.received_ms)
            .execute(&mut *tx)
            .await?;
            if done.rows_affected() > 0 {
                fresh.push(Waiting { update_id: update.update_id, chat_id: update.chat_id });
            }
        }
        tx.commit().await?;
        Ok(fresh)
    }

    /// The updates that were received and not handled, in order.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let rows = sqlx::query(
            "select update_id, chat_id
             from inbox
             where handled_ms = 0
             order by received_ms, update_id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Waiting {
                    update_id: row.try_get("update_id")?,
                    chat_id: row.try_get("chat_id")?,
                })
            })
            .collect()
    }

    /// When the latest update was received; 0 if none ever was.
    pub async fn last_received_ms(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("select coalesce(max(received_ms), 0) as latest from inbox")
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get("latest")?)
    }

    /// Begins an attempt; `None` if the update has been handled.
    pub async fn begin_attempt(&self, update_id: i64) -> Result<Option<Attempt>, StoreError> {
        let row = sqlx::query(
            "update inbox
             set attempts = attempts + 1
             where update_id = $1 and handled_ms = 0
             returning body, attempts",
        )
        .bind(update_id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok(Attempt { body: row.try_get("body")?, number: row.try_get("attempts")? }))
            .transpose()
    }

    /// Takes an attempt back that failed in good order: only those that crashed count.
    pub async fn forgive_attempt(&self, update_id: i64) -> Result<(), StoreError> {
        sqlx::query("update inbox set attempts = attempts - 1 where update_id = $1")
            .bind(update_id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Takes an update out of its chat's order: it is owed, and the others must not wait for it.
    pub async fn set_aside(&self, update_id: i64) -> Result<(), StoreError> {
        sqlx::query("update inbox set chat_id = $2 where update_id = $1")
            .bind(update_id)
            .bind(NO_CHAT)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Strikes an update off, and keeps the chat's new state if there is one, in one transaction:
    /// an update that is handled again finds the state that it found before.
    pub async fn strike_off(
        &self,
        update: Waiting,
        state: Option<&State>,
    ) -> Result<(), StoreError> {
        let now = now_ms();
        let mut tx = self.pool.begin().await?;
        sqlx::query("update inbox set handled_ms = $2, body = '' where update_id = $1")
            .bind(update.update_id)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        if let Some(state) = state {
            sqlx::query(
                "insert into dialogues (chat_id, version, state, updated_ms)
                 values ($1, $2, $3, $4)
                 on conflict (chat_id) do update
                 set version = excluded.version,
                     state = excluded.state,
                     updated_ms = excluded.updated_ms",
            )
            .bind(update.chat_id)
            .bind(dialogue::VERSION)
            .bind(dialogue::encode(state)?)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Forgets updates that were handled before that time.
    pub async fn purge_inbox(&self, before_ms: i64) -> Result<u64, StoreError> {
        let done = sqlx::query("delete from inbox where handled_ms > 0 and handled_ms < $1")
            .bind(before_ms)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }
}
