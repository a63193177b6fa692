//! `events` on SQLite.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{SqliteStore, operations, top_ups};
use crate::domain::{Event, OperationId, Timestamp, TopUpId, UserId};
use crate::store::{Answer, EventId, Events, Lease, LentEvent, StoreError, rows};

impl Events for SqliteStore {
    async fn insert_events(
        &self,
        tx: &mut Self::Tx,
        consumers: &[&str],
        events: &[Event],
    ) -> Answer<()> {
        for (event, consumer) in pairs(events, consumers) {
            let subject = event.kind.subject();
            sqlx::query(
                "insert into events
                     (user_id, consumer, number, kind, operation_id, top_up_id,
                      balance_after_kopecks, created_at, amount, lent_until)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
            )
            .bind(event.user.get())
            .bind(consumer)
            .bind(event.number)
            .bind(event.kind.as_str())
            .bind(subject.operation().map(|id| id.as_uuid()))
            .bind(subject.top_up().map(|id| id.as_uuid()))
            .bind(event.kind.balance_after().get())
            .bind(event.at.as_micros())
            .bind(event.kind.amount())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn lendable_events(
        &self,
        consumer: &str,
        now: Timestamp,
        limit: i64,
    ) -> Answer<Vec<EventId>> {
        let rows = sqlx::query(
            "select e.user_id, e.number
             from events e
             where e.consumer = $1
               and e.acked_at is null
               and e.lent_until <= $2
               and not exists (
                   select 1
                   from events earlier
                   where earlier.consumer = $1
                     and earlier.user_id = e.user_id
                     and earlier.number < e.number
                     and earlier.acked_at is null
               )
             order by e.user_id
             limit $3",
        )
        .bind(consumer)
        .bind(now.as_micros())
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        let read = |row: &SqliteRow| {
            Ok(EventId {
                user: rows::user(row.try_get("user_id")?)?,
                number: row.try_get("number")?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn lend_events(
        &self,
        tx: &mut Self::Tx,
        consumer: &str,
        ids: &[EventId],
        lease: Lease,
    ) -> Answer<Vec<LentEvent>> {
        let mut lent = Vec::with_capacity(ids.len());
        for id in ids {
            // Guarded: what another stream was lent meanwhile no longer matches.
            let row = sqlx::query(
                "update events
                 set lent_until = $4
                 where user_id = $2
                   and consumer = $1
                   and number = $3
                   and acked_at is null
                   and lent_until <= $5
                 returning user_id, number, kind, operation_id, top_up_id,
                     balance_after_kopecks, created_at, amount, lent_until",
            )
            .bind(consumer)
            .bind(id.user.get())
            .bind(id.number)
            .bind(lease.until.as_micros())
            .bind(lease.now.as_micros())
            .fetch_optional(&mut **tx)
            .await?;
            if let Some(row) = row {
                lent.push(read(tx, id.user, &row).await?);
            }
        }
        Ok(lent)
    }

    async fn ack_events(
        &self,
        tx: &mut Self::Tx,
        consumer: &str,
        ids: &[EventId],
        now: Timestamp,
    ) -> Answer<()> {
        for id in ids {
            sqlx::query(
                "update events
                 set acked_at = $4
                 where user_id = $2
                   and consumer = $1
                   and number = $3
                   and acked_at is null",
            )
            .bind(consumer)
            .bind(id.user.get())
            .bind(id.number)
            .bind(now.as_micros())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

/// Every event with every consumer.
fn pairs<'e>(events: &'e [Event], consumers: &[&'e str]) -> Vec<(&'e Event, &'e str)> {
    let with_all = |event| consumers.iter().map(move |consumer| (event, *consumer));
    events.iter().flat_map(with_all).collect()
}

/// Reads a lent row together with what it is about.
async fn read(
    connection: &mut SqliteConnection,
    user: UserId,
    row: &SqliteRow,
) -> Result<LentEvent, StoreError> {
    let operation = match row.try_get("operation_id")? {
        Some(id) => operations::by_id(connection, &[(user, OperationId::stored(id))]).await?.pop(),
        None => None,
    };
    let top_up = match row.try_get("top_up_id")? {
        Some(id) => top_ups::by_id(connection, &[(user, TopUpId::stored(id))]).await?.pop(),
        None => None,
    };
    rows::lent_event!(row, operation.as_ref(), top_up.as_ref())
}
