//! `operation_records` and `holds` on SQLite.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::many::{self, Around};
use super::{SqliteStore, write};
use crate::domain::{IdempotencyKey, Operation, OperationId, Timestamp, UserId};
use crate::store::{Answer, ChangedOperations, Operations, ReservedPage, WantedOperations, rows};

fn read(row: &SqliteRow) -> Answer<Operation> {
    rows::operation!(row)
}

/// Reads operations by id; those that are not there are left out.
pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    ids: &[(UserId, OperationId)],
) -> Answer<Vec<Operation>> {
    let around = Around {
        before: concat!("select ", rows::operation_columns!(), " from ("),
        after: ") as r
                cross join operation_records o on o.user_id = r.column1 and o.id = r.column2",
    };
    let bind = |row: &mut many::Row<'_>, (user, id): &(UserId, OperationId)| {
        row.push_bind(user.get()).push_bind(id.as_uuid());
    };
    many::read(connection, around, ids, (bind, read)).await
}

async fn by_key(
    connection: &mut SqliteConnection,
    keys: &[(UserId, IdempotencyKey)],
) -> Answer<Vec<Operation>> {
    let around = Around {
        before: concat!("select ", rows::operation_columns!(), " from ("),
        after: ") as r
                cross join operation_records o
                    on o.user_id = r.column1 and o.idempotency_key = r.column2",
    };
    let bind = |row: &mut many::Row<'_>, (user, key): &(UserId, IdempotencyKey)| {
        row.push_bind(user.get()).push_bind(key.as_str().to_owned());
    };
    many::read(connection, around, keys, (bind, read)).await
}

async fn overdue(
    connection: &mut SqliteConnection,
    users: &[UserId],
    now: Timestamp,
) -> Answer<Vec<Operation>> {
    let around = Around {
        before: concat!("select ", rows::operation_columns!(), " from ("),
        after: ") as r
                cross join holds h on h.user_id = r.column1 and h.expires_at <= r.column2
                cross join operation_records o
                    on o.user_id = h.user_id and o.id = h.operation_id",
    };
    let bind = |row: &mut many::Row<'_>, user: &UserId| {
        row.push_bind(user.get()).push_bind(now.as_micros());
    };
    many::read(connection, around, users, (bind, read)).await
}

impl Operations for SqliteStore {
    async fn wanted_operations(
        &self,
        tx: &mut Self::Tx,
        wanted: WantedOperations<'_>,
    ) -> Answer<Vec<Operation>> {
        let mut found = by_id(tx, wanted.ids).await?;
        found.append(&mut by_key(tx, wanted.keys).await?);
        found.append(&mut overdue(tx, wanted.holders, wanted.now).await?);
        Ok(found)
    }

    async fn write_operations(
        &self,
        tx: &mut Self::Tx,
        changes: ChangedOperations<'_>,
    ) -> Answer<()> {
        write::operations(tx, changes).await
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
