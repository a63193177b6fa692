//! `operation_records` on PostgreSQL.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::PostgresStore;
use crate::domain::{IdempotencyKey, Operation, OperationId, PromoCodeName, Timestamp, UserId};
use crate::store::{Answer, Operations, StoreError, rows};

fn read(row: &PgRow) -> Answer<Operation> {
    rows::operation!(row)
}

/// Reads operations by id; those that are not there are left out.
pub(super) async fn by_id(
    connection: &mut PgConnection,
    ids: &[(UserId, OperationId)],
) -> Answer<Vec<Operation>> {
    // Lateral with a limit, here and below: the plan is a look-up for each request, also when it
    // was made while the table was empty.
    let rows = sqlx::query(concat!(
        "select o.*
         from unnest($1::bigint[], $2::uuid[]) as r (user_id, id)
         cross join lateral (
             select ",
        rows::operation_columns!(),
        "    from operation_records o
             where o.user_id = r.user_id
               and o.id = r.id
             limit 1
         ) as o"
    ))
    .bind(ids.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
    .bind(ids.iter().map(|(_, id)| id.as_uuid()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

impl Operations for PostgresStore {
    async fn overdue_holds(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
        now: Timestamp,
    ) -> Answer<Vec<Operation>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::operation_columns!(),
            " from operation_records o
              where o.user_id = any($1)
                and o.state = 'reserved'
                and o.expires_at <= $2
              order by o.user_id, o.expires_at, o.number"
        ))
        .bind(users.iter().map(|user| user.get()).collect::<Vec<_>>())
        .bind(now.as_micros())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
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
        let rows = sqlx::query(concat!(
            "select o.*
             from unnest($1::bigint[], $2::text[]) as r (user_id, idempotency_key)
             cross join lateral (
                 select ",
            rows::operation_columns!(),
            "    from operation_records o
                 where o.user_id = r.user_id
                   and o.idempotency_key = r.idempotency_key
                 limit 1
             ) as o"
        ))
        .bind(keys.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn insert_operations(&self, tx: &mut Self::Tx, operations: &[&Operation]) -> Answer<()> {
        let number = |of: fn(&Operation) -> i64| {
            operations.iter().map(|operation| of(operation)).collect::<Vec<_>>()
        };
        let all = || operations.iter();
        sqlx::query(
            "insert into operation_records
                 (user_id, id, number, operation_type, model, state, source, price_kopecks,
                  idempotency_key, created_at, expires_at, ended_at, refund_reason, refund_actor,
                  commit_refused, cost_micro_usd, metadata, list_price_kopecks, promo_code,
                  refunded_in_parts_kopecks)
             select *
             from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::text[],
                  $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[],
                  $12::bigint[], $13::text[], $14::text[], $15::boolean[], $16::bigint[],
                  $17::text[], $18::bigint[], $19::text[], $20::bigint[])",
        )
        .bind(number(|o| o.user.get()))
        .bind(all().map(|o| o.id.as_uuid()).collect::<Vec<_>>())
        .bind(number(|o| o.number))
        .bind(all().map(|o| o.operation_type.as_str()).collect::<Vec<_>>())
        .bind(all().map(|o| o.model.as_str()).collect::<Vec<_>>())
        .bind(all().map(|o| o.state.as_str()).collect::<Vec<_>>())
        .bind(all().map(|o| o.source.as_str()).collect::<Vec<_>>())
        .bind(number(|o| o.price.get()))
        .bind(all().map(|o| o.key.as_str()).collect::<Vec<_>>())
        .bind(number(|o| o.created_at.as_micros()))
        .bind(number(|o| o.expires_at.as_micros()))
        .bind(all().map(|o| o.ended_at.map(Timestamp::as_micros)).collect::<Vec<_>>())
        .bind(all().map(|o| o.refund.as_ref().map(|r| r.reason.clone())).collect::<Vec<_>>())
        .bind(all().map(|o| o.refund.as_ref().and_then(|r| r.actor.clone())).collect::<Vec<_>>())
        .bind(
            all().map(|o| o.refund.as_ref().is_some_and(|r| r.commit_refused)).collect::<Vec<_>>(),
        )
        .bind(all().map(|o| o.cost_micro_usd).collect::<Vec<_>>())
        .bind(all().map(|o| rows::metadata_text(&o.metadata)).collect::<Vec<_>>())
        .bind(number(|o| o.list_price.get()))
        .bind(all().map(|o| o.promo_code.as_ref().map(PromoCodeName::as_str)).collect::<Vec<_>>())
        .bind(number(|o| o.refunded_in_parts_kopecks))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn update_operations(&self, tx: &mut Self::Tx, operations: &[&Operation]) -> Answer<()> {
        let all = || operations.iter();
        let done = sqlx::query(
            "update operation_records o
             set state = r.state,
                 expires_at = r.expires_at,
                 ended_at = r.ended_at,
                 refund_reason = r.refund_reason,
                 refund_actor = r.refund_actor,
                 commit_refused = r.commit_refused,
                 cost_micro_usd = r.cost_micro_usd,
                 refunded_in_parts_kopecks = r.refunded_in_parts_kopecks
             from unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[],
                  $6::text[], $7::text[], $8::boolean[], $9::bigint[], $10::bigint[])
                 as r (user_id, id, state, expires_at, ended_at, refund_reason, refund_actor,
                       commit_refused, cost_micro_usd, refunded_in_parts_kopecks)
             where o.user_id = r.user_id
               and o.id = r.id",
        )
        .bind(all().map(|o| o.user.get()).collect::<Vec<_>>())
        .bind(all().map(|o| o.id.as_uuid()).collect::<Vec<_>>())
        .bind(all().map(|o| o.state.as_str()).collect::<Vec<_>>())
        .bind(all().map(|o| o.expires_at.as_micros()).collect::<Vec<_>>())
        .bind(all().map(|o| o.ended_at.map(Timestamp::as_micros)).collect::<Vec<_>>())
        .bind(all().map(|o| o.refund.as_ref().map(|r| r.reason.clone())).collect::<Vec<_>>())
        .bind(all().map(|o| o.refund.as_ref().and_then(|r| r.actor.clone())).collect::<Vec<_>>())
        .bind(
            all().map(|o| o.refund.as_ref().is_some_and(|r| r.commit_refused)).collect::<Vec<_>>(),
        )
        .bind(all().map(|o| o.cost_micro_usd).collect::<Vec<_>>())
        .bind(all().map(|o| o.refunded_in_parts_kopecks).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        StoreError::expect_rows(operations.len(), done.rows_affected())
    }

    async fn operation(&self, user: UserId, id: OperationId) -> Answer<Option<Operation>> {
        let row = sqlx::query(concat!(
            "select ",
            rows::operation_columns!(),
            " from operation_records o
              where o.user_id = $1
                and o.id = $2"
        ))
        .bind(user.get())
        .bind(id.as_uuid())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(read).transpose()
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
