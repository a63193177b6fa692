//! `events` on PostgreSQL.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{PostgresStore, operations, top_ups};
use crate::domain::{Event, OperationId, Timestamp, TopUpId};
use crate::store::{Answer, EventId, Events, Lease, LentEvent, rows};

impl Events for PostgresStore {
    async fn insert_events(
        &self,
        tx: &mut Self::Tx,
        consumers: &[&str],
        events: &[Event],
    ) -> Answer<()> {
        let number = |of: fn(&Event) -> i64| events.iter().map(of).collect::<Vec<_>>();
        let subjects = || events.iter().map(|event| event.kind.subject());
        sqlx::query(
            "insert into events
                 (user_id, consumer, number, kind, operation_id, top_up_id,
                  balance_after_kopecks, created_at, amount, lent_until)
             select r.user_id, c.consumer, r.number, r.kind, r.operation_id, r.top_up_id,
                    r.balance_after_kopecks, r.created_at, r.amount, 0
             from unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::uuid[],
                  $6::bigint[], $7::bigint[], $8::bigint[])
                 as r (user_id, number, kind, operation_id, top_up_id, balance_after_kopecks,
                       created_at, amount)
             cross join unnest($9::text[]) as c (consumer)",
        )
        .bind(number(|e| e.user.get()))
        .bind(number(|e| e.number))
        .bind(events.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>())
        .bind(subjects().map(|s| s.operation().map(|id| id.as_uuid())).collect::<Vec<_>>())
        .bind(subjects().map(|s| s.top_up().map(|id| id.as_uuid())).collect::<Vec<_>>())
        .bind(number(|e| e.kind.balance_after().get()))
        .bind(number(|e| e.at.as_micros()))
        .bind(number(|e| e.kind.amount()))
        .bind(consumers)
        .execute(&mut **tx)
        .await?;
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
        let read = |row: &PgRow| {
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
        // Guarded: what another replica was lent meanwhile no longer matches.
        let lent = sqlx::query(
            "update events e
             set lent_until = $4
             from unnest($2::bigint[], $3::bigint[]) as r (user_id, number)
             where e.user_id = r.user_id
               and e.consumer = $1
               and e.number = r.number
               and e.acked_at is null
               and e.lent_until <= $5
             returning e.user_id, e.number, e.kind, e.operation_id, e.top_up_id,
                 e.balance_after_kopecks, e.created_at, e.amount, e.lent_until",
        )
        .bind(consumer)
        .bind(ids.iter().map(|id| id.user.get()).collect::<Vec<_>>())
        .bind(ids.iter().map(|id| id.number).collect::<Vec<_>>())
        .bind(lease.until.as_micros())
        .bind(lease.now.as_micros())
        .fetch_all(&mut **tx)
        .await?;
        let mut operation_ids = Vec::new();
        let mut top_up_ids = Vec::new();
        for row in &lent {
            let user = rows::user(row.try_get("user_id")?)?;
            if let Some(id) = row.try_get("operation_id")? {
                operation_ids.push((user, OperationId::stored(id)));
            }
            if let Some(id) = row.try_get("top_up_id")? {
                top_up_ids.push((user, TopUpId::stored(id)));
            }
        }
        let operations = operations::by_id(tx, &operation_ids).await?;
        let operations: HashMap<Uuid, _> =
            operations.into_iter().map(|operation| (operation.id.as_uuid(), operation)).collect();
        let top_ups = top_ups::by_id(tx, &top_up_ids).await?;
        let top_ups: HashMap<Uuid, _> =
            top_ups.into_iter().map(|top_up| (top_up.id.as_uuid(), top_up)).collect();
        let read = |row: &PgRow| {
            let operation: Option<Uuid> = row.try_get("operation_id")?;
            let top_up: Option<Uuid> = row.try_get("top_up_id")?;
            rows::lent_event!(
                row,
                operation.and_then(|id| operations.get(&id)),
                top_up.and_then(|id| top_ups.get(&id))
            )
        };
        lent.iter().map(read).collect()
    }

    async fn ack_events(
        &self,
        tx: &mut Self::Tx,
        consumer: &str,
        ids: &[EventId],
        now: Timestamp,
    ) -> Answer<()> {
        sqlx::query(
            "update events e
             set acked_at = $4
             from unnest($2::bigint[], $3::bigint[]) as r (user_id, number)
             where e.user_id = r.user_id
               and e.consumer = $1
               and e.number = r.number
               and e.acked_at is null",
        )
        .bind(consumer)
        .bind(ids.iter().map(|id| id.user.get()).collect::<Vec<_>>())
        .bind(ids.iter().map(|id| id.number).collect::<Vec<_>>())
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
