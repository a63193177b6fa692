//! `chain_heads` on PostgreSQL.

use super::PostgresStore;
use crate::domain::Timestamp;
use crate::store::Answer;
use crate::store::chain::{ChainHead, ChainHeads};

impl ChainHeads for PostgresStore {
    async fn put_chain_heads(
        &self,
        tx: &mut Self::Tx,
        heads: &[ChainHead],
        now: Timestamp,
    ) -> Answer<()> {
        sqlx::query(
            "insert into chain_heads (user_id, number, hash, chained_at)
             select r.user_id, r.number, r.hash, $4
             from unnest($1::bigint[], $2::bigint[], $3::bytea[]) as r (user_id, number, hash)
             order by r.user_id
             on conflict (user_id) do update
             set number = excluded.number,
                 hash = excluded.hash,
                 chained_at = excluded.chained_at
             where chain_heads.number < excluded.number",
        )
        .bind(heads.iter().map(|head| head.user).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.number).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.hash.as_bytes().to_vec()).collect::<Vec<_>>())
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
