//! `chain_heads` on SQLite.

use super::SqliteStore;
use crate::domain::Timestamp;
use crate::store::Answer;
use crate::store::chain::{ChainHead, ChainHeads};

impl ChainHeads for SqliteStore {
    async fn put_chain_heads(
        &self,
        tx: &mut Self::Tx,
        heads: &[ChainHead],
        now: Timestamp,
    ) -> Answer<()> {
        for head in heads {
            sqlx::query(
                "insert into chain_heads (user_id, number, hash, chained_at)
                 values ($1, $2, $3, $4)
                 on conflict (user_id) do update
                 set number = excluded.number,
                     hash = excluded.hash,
                     chained_at = excluded.chained_at
                 where chain_heads.number < excluded.number",
            )
            .bind(head.user)
            .bind(head.number)
            .bind(head.hash.as_bytes())
            .bind(now.as_micros())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}
