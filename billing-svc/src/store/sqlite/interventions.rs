//! `interventions` on SQLite.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use crate::domain::{IdempotencyKey, Intervention, InterventionKind, UserId};
use crate::store::{Answer, Interventions, rows};

fn read(row: &SqliteRow) -> Answer<Intervention> {
    rows::intervention!(row)
}

impl Interventions for SqliteStore {
    async fn interventions(
        &self,
        tx: &mut Self::Tx,
        wanted: &[(UserId, InterventionKind, IdempotencyKey)],
    ) -> Answer<Vec<Intervention>> {
        let mut found = Vec::new();
        for (user, kind, key) in wanted {
            let row = sqlx::query(concat!(
                "select ",
                rows::intervention_columns!(),
                " from interventions i
                  where i.user_id = $1
                    and i.kind = $2
                    and i.idempotency_key = $3"
            ))
            .bind(user.get())
            .bind(kind.as_str())
            .bind(key.as_str())
            .fetch_optional(&mut **tx)
            .await?;
            if let Some(row) = row {
                found.push(read(&row)?);
            }
        }
        Ok(found)
    }

    async fn insert_interventions(
        &self,
        tx: &mut Self::Tx,
        interventions: &[&Intervention],
    ) -> Answer<()> {
        for intervention in interventions {
            sqlx::query(
                "insert into interventions
                     (user_id, kind, idempotency_key, amount, operation_id, actor, reason,
                      entry_number, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(intervention.user.get())
            .bind(intervention.kind.as_str())
            .bind(intervention.key.as_str())
            .bind(intervention.amount)
            .bind(intervention.operation.map(|id| id.as_uuid()))
            .bind(intervention.actor.as_str())
            .bind(intervention.reason.as_str())
            .bind(intervention.entry_number)
            .bind(intervention.at.as_micros())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}
