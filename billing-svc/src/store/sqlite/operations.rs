//! `operation_records` on SQLite.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::SqliteStore;
use crate::domain::{IdempotencyKey, Operation, OperationId, PromoCodeName, Timestamp, UserId};
use crate::store::{Answer, Operations, StoreError, rows};

fn read(row: &SqliteRow) -> Answer<Operation> {
    rows::operation!(row)
}

/// Reads operations by id; those that are not there are left out.
pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    ids: &[(UserId, OperationId)],
) -> Answer<Vec<Operation>> {
    let mut found = Vec::with_capacity(ids.len());
    for (user, id) in ids {
        let row = sqlx::query(concat!(
            "select ",
            rows::operation_columns!(),
            " from operation_records o
              where o.user_id = $1
                and o.id = $2"
        ))
        .bind(user.get())
        .bind(id.as_uuid())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

impl Operations for SqliteStore {
    async fn overdue_holds(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
        now: Timestamp,
    ) -> Answer<Vec<Operation>> {
        let mut found = Vec::new();
        for user in users {
            let rows = sqlx::query(concat!(
                "select ",
                rows::operation_columns!(),
                " from operation_records o
                  where o.user_id = $1
                    and o.state = 'reserved'
                    and o.expires_at <= $2
                  order by o.expires_at, o.number"
            ))
            .bind(user.get())
            .bind(now.as_micros())
            .fetch_all(&mut **tx)
            .await?;
            for row in &rows {
                found.push(read(row)?);
            }
        }
        Ok(found)
    }

    async fn operations_by_id(
        &self,
        tx: &mut Self::Tx,
        ids: &[(UserId, OperationId)],
    ) -> Answer<Vec<Operation>> {
        by_id(tx, ids).await
    }

    async fn operations_by_key(
        &self,
        tx: &mut Self::Tx,
        keys: &[(UserId, IdempotencyKey)],
    ) -> Answer<Vec<Operation>> {
        let mut found = Vec::new();
        for (user, key) in keys {
            let row = sqlx::query(concat!(
                "select ",
                rows::operation_columns!(),
                " from operation_records o
                  where o.user_id = $1
                    and o.idempotency_key = $2"
            ))
            .bind(user.get())
            .bind(key.as_str())
            .fetch_optional(&mut **tx)
            .await?;
            if let Some(row) = row {
                found.push(read(&row)?);
            }
        }
        Ok(found)
    }

    async fn insert_operations(&self, tx: &mut Self::Tx, operations: &[&Operation]) -> Answer<()> {
        for operation in operations {
            let refund = operation.refund.as_ref();
            sqlx::query(
                "insert into operation_records
                     (user_id, id, number, operation_type, model, state, source, price_kopecks,
                      idempotency_key, created_at, expires_at, ended_at, refund_reason,
                      refund_actor, commit_refused, cost_micro_usd, metadata, list_price_kopecks,
                      promo_code, refunded_in_parts_kopecks)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                         $17, $18, $19, $20)",
            )
            .bind(operation.user.get())
            .bind(operation.id.as_uuid())
            .bind(operation.number)
            .bind(operation.operation_type.as_str())
            .bind(operation.model.as_str())
            .bind(operation.state.as_str())
            .bind(operation.source.as_str())
            .bind(operation.price.get())
            .bind(operation.key.as_str())
            .bind(operation.created_at.as_micros())
            .bind(operation.expires_at.as_micros())
            .bind(operation.ended_at.map(Timestamp::as_micros))
            .bind(refund.map(|refund| refund.reason.as_str()))
            .bind(refund.and_then(|refund| refund.actor.as_deref()))
            .bind(refund.is_some_and(|refund| refund.commit_refused))
            .bind(operation.cost_micro_usd)
            .bind(rows::metadata_text(&operation.metadata))
            .bind(operation.list_price.get())
            .bind(operation.promo_code.as_ref().map(PromoCodeName::as_str))
            .bind(operation.refunded_in_parts_kopecks)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn update_operations(&self, tx: &mut Self::Tx, operations: &[&Operation]) -> Answer<()> {
        for operation in operations {
            let refund = operation.refund.as_ref();
            let done = sqlx::query(
                "update operation_records
                 set state = $3,
                     expires_at = $4,
                     ended_at = $5,
                     refund_reason = $6,
                     refund_actor = $7,
                     commit_refused = $8,
                     cost_micro_usd = $9,
                     refunded_in_parts_kopecks = $10
                 where user_id = $1
                   and id = $2",
            )
            .bind(operation.user.get())
            .bind(operation.id.as_uuid())
            .bind(operation.state.as_str())
            .bind(operation.expires_at.as_micros())
            .bind(operation.ended_at.map(Timestamp::as_micros))
            .bind(refund.map(|refund| refund.reason.as_str()))
            .bind(refund.and_then(|refund| refund.actor.as_deref()))
            .bind(refund.is_some_and(|refund| refund.commit_refused))
            .bind(operation.cost_micro_usd)
            .bind(operation.refunded_in_parts_kopecks)
            .execute(&mut **tx)
            .await?;
            StoreError::expect_rows(1, done.rows_affected())?;
        }
        Ok(())
    }

    async fn operation(&self, user: UserId, id: OperationId) -> Answer<Option<Operation>> {
        let mut connection = self.reader.acquire().await?;
        Ok(by_id(&mut connection, &[(user, id)]).await?.pop())
    }

    async fn operations_page(
        &self,
        user: UserId,
        below: i64,
        limit: i64,
    ) -> Answer<Vec<Operation>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::operation_columns!(),
            " from operation_records o
              where o.user_id = $1
                and o.number < $2
              order by o.number desc
              limit $3"
        ))
        .bind(user.get())
        .bind(below)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn overdue_users(&self, now: Timestamp, after: i64, limit: i64) -> Answer<Vec<UserId>> {
        let users: Vec<i64> = sqlx::query_scalar(
            "select distinct o.user_id
             from operation_records o
             where o.state = 'reserved'
               and o.expires_at <= $1
               and o.user_id > $2
             order by o.user_id
             limit $3",
        )
        .bind(now.as_micros())
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        users.into_iter().map(rows::user).collect()
    }
}
