//! `interventions` on PostgreSQL.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use crate::domain::{IdempotencyKey, Intervention, InterventionKind, UserId};
use crate::store::{Answer, Interventions, rows};

fn read(row: &PgRow) -> Answer<Intervention> {
    rows::intervention!(row)
}

impl Interventions for PostgresStore {
    async fn interventions(
        &self,
        tx: &mut Self::Tx,
        wanted: &[(UserId, InterventionKind, IdempotencyKey)],
    ) -> Answer<Vec<Intervention>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::intervention_columns!(),
            " from unnest($1::bigint[], $2::text[], $3::text[])
                  as r (user_id, kind, idempotency_key)
              join interventions i
                  on i.user_id = r.user_id
                 and i.kind = r.kind
                 and i.idempotency_key = r.idempotency_key"
        ))
        .bind(wanted.iter().map(|(user, ..)| user.get()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(_, kind, _)| kind.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(.., key)| key.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn insert_interventions(
        &self,
        tx: &mut Self::Tx,
        interventions: &[&Intervention],
    ) -> Answer<()> {
        let all = || interventions.iter();
        sqlx::query(
            "insert into interventions
                 (user_id, kind, idempotency_key, amount, operation_id, actor, reason,
                  entry_number, created_at)
             select *
             from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::uuid[],
                  $6::text[], $7::text[], $8::bigint[], $9::bigint[])",
        )
        .bind(all().map(|i| i.user.get()).collect::<Vec<_>>())
        .bind(all().map(|i| i.kind.as_str()).collect::<Vec<_>>())
        .bind(all().map(|i| i.key.as_str()).collect::<Vec<_>>())
        .bind(all().map(|i| i.amount).collect::<Vec<_>>())
        .bind(all().map(|i| i.operation.map(|id| id.as_uuid())).collect::<Vec<_>>())
        .bind(all().map(|i| i.actor.as_str()).collect::<Vec<_>>())
        .bind(all().map(|i| i.reason.as_str()).collect::<Vec<_>>())
        .bind(all().map(|i| i.entry_number).collect::<Vec<_>>())
        .bind(all().map(|i| i.at.as_micros()).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
