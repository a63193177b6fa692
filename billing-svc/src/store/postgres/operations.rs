//! `operation_records` and `holds` on PostgreSQL.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::{PostgresStore, write};
use crate::domain::{Operation, OperationId, Timestamp, UserId};
use crate::store::{Answer, ChangedOperations, Operations, ReservedPage, WantedOperations, rows};

fn read(row: &PgRow) -> Answer<Operation> {
    rows::operation!(row)
}

/// Reads operations by id; those that are not there are left out.
pub(super) async fn by_id(
    connection: &mut PgConnection,
    ids: &[(UserId, OperationId)],
) -> Answer<Vec<Operation>> {
    // Here and below, the first row from there on is asked for, and must be the one. Three indexes
    // begin with the user, and while most users have few operations each is as good as another to
    // the planner, which may then read all operations of one who has many. Only one has this order.
    let rows = sqlx::query(concat!(
        "select o.*
         from unnest($1::bigint[], $2::uuid[]) as r (user_id, id)
         cross join lateral (
             select ",
        rows::operation_columns!(),
        "    from operation_records o
             where o.user_id = r.user_id
               and o.id >= r.id
             order by o.id
             limit 1
         ) as o
         where o.id = r.id"
    ))
    .bind(ids.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
    .bind(ids.iter().map(|(_, id)| id.as_uuid()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

impl Operations for PostgresStore {
    async fn wanted_operations(
        &self,
        tx: &mut Self::Tx,
        wanted: WantedOperations<'_>,
    ) -> Answer<Vec<Operation>> {
        let rows = sqlx::query(concat!(
            "select o.*
             from unnest($1::bigint[], $2::uuid[]) as r (user_id, id)
             cross join lateral (
                 select ",
            rows::operation_columns!(),
            "    from operation_records o
                 where o.user_id = r.user_id
                   and o.id >= r.id
                 order by o.id
                 limit 1
             ) as o
             where o.id = r.id
             union all
             select o.*
             from unnest($3::bigint[], $4::text[]) as r (user_id, idempotency_key)
             cross join lateral (
                 select ",
            rows::operation_columns!(),
            "    from operation_records o
                 where o.user_id = r.user_id
                   and o.idempotency_key >= r.idempotency_key
                 order by o.idempotency_key
                 limit 1
             ) as o
             where o.idempotency_key = r.idempotency_key
             union all
             select o.*
             from unnest($5::bigint[]) as r (user_id)
             cross join lateral (
                 select h.operation_id
                 from holds h
                 where h.user_id = r.user_id
                   and h.expires_at <= $6
                 -- All of them; with a limit, the plan is a look-up here too.
                 limit 1000000000
             ) as h
             cross join lateral (
                 select ",
            rows::operation_columns!(),
            "    from operation_records o
                 where o.user_id = r.user_id
                   and o.id >= h.operation_id
                 order by o.id
                 limit 1
             ) as o
             where o.id = h.operation_id"
        ))
        .bind(wanted.ids.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
        .bind(wanted.ids.iter().map(|(_, id)| id.as_uuid()).collect::<Vec<_>>())
        .bind(wanted.keys.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
        .bind(wanted.keys.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>())
        .bind(wanted.holders.iter().map(|user| user.get()).collect::<Vec<_>>())
        .bind(wanted.now.as_micros())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn write_operations(
        &self,
        tx: &mut Self::Tx,
        changes: ChangedOperations<'_>,
    ) -> Answer<()> {
        write::operations(tx, changes).await
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

    async fn reserved_page(&self, page: ReservedPage) -> Answer<Vec<Operation>> {
        let after = page.after.map(|(user, id)| (user.get(), id.as_uuid()));
        let (user, id) = after.unwrap_or((0, uuid::Uuid::nil()));
        let rows = sqlx::query(concat!(
            "select ",
            rows::operation_columns!(),
            " from (
                 select h.user_id, h.operation_id
                 from holds h
                 where h.user_id >= $1
                   and (h.user_id, h.operation_id) > ($1, $2)
                   and h.expires_at > $3
                 order by h.user_id, h.operation_id
                 limit $4
             ) as h
             join operation_records o
                 on o.user_id = h.user_id and o.id = h.operation_id
             order by o.user_id, o.id"
        ))
        .bind(user)
        .bind(id)
        .bind(page.now.as_micros())
        .bind(page.limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn overdue_users(&self, now: Timestamp, after: i64, limit: i64) -> Answer<Vec<UserId>> {
        let users: Vec<i64> = sqlx::query_scalar(
            "select distinct h.user_id
             from holds h
             where h.expires_at <= $1
               and h.user_id > $2
             order by h.user_id
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
