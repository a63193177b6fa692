//! What nearly every batch writes: accounts, operations, holds and entries.

use sqlx::SqliteConnection;

use super::many::{self, Around};
use crate::domain::{Account, Entry, Operation, Timestamp};
use crate::store::{Answer, ChangedOperations, Hold, rows};

/// Writes it; every row that is to be changed must be there.
pub(super) async fn operations(
    connection: &mut SqliteConnection,
    changes: ChangedOperations<'_>,
) -> Answer<()> {
    changed_accounts(connection, changes.accounts).await?;
    changed_operations(connection, changes.changed).await?;
    new_operations(connection, changes.new).await?;
    new_entries(connection, changes.entries).await?;
    ended_holds(connection, changes.ended_holds).await?;
    new_holds(connection, changes.new_holds).await
}

async fn changed_accounts(connection: &mut SqliteConnection, accounts: &[&Account]) -> Answer<()> {
    let around = Around {
        before: "update accounts as a
                 set balance_kopecks = r.column2,
                     held_kopecks = r.column3,
                     free_operations = r.column4,
                     held_free_operations = r.column5,
                     reversed_kopecks = r.column6,
                     redemptions_until = r.column7,
                     last_entry_number = r.column8,
                     last_event_number = r.column9
                 from (",
        after: ") as r
                where a.user_id = r.column1",
    };
    many::change(connection, around, accounts, |row, account| {
        row.push_bind(account.user.get())
            .push_bind(account.balance.get())
            .push_bind(account.held.get())
            .push_bind(account.free_operations)
            .push_bind(account.held_free_operations)
            .push_bind(account.reversed_kopecks)
            .push_bind(account.redemptions_until.as_micros())
            .push_bind(account.last_entry)
            .push_bind(account.last_event);
    })
    .await
}

async fn changed_operations(
    connection: &mut SqliteConnection,
    operations: &[&Operation],
) -> Answer<()> {
    let around = Around {
        before: "update operation_records as o
                 set state = r.column3,
                     expires_at = r.column4,
                     ended_at = r.column5,
                     refund_reason = r.column6,
                     refund_actor = r.column7,
                     commit_refused = r.column8,
                     cost_micro_usd = r.column9,
                     refunded_in_parts_kopecks = r.column10
                 from (",
        after: ") as r
                where o.user_id = r.column1
                  and o.id = r.column2",
    };
    many::change(connection, around, operations, |row, operation| {
        let refund = operation.refund.as_ref();
        row.push_bind(operation.user.get())
            .push_bind(operation.id.as_uuid())
            .push_bind(operation.state.as_str())
            .push_bind(operation.expires_at.as_micros())
            .push_bind(operation.ended_at.map(Timestamp::as_micros))
            .push_bind(refund.map(|refund| refund.reason.clone()))
            .push_bind(refund.and_then(|refund| refund.actor.clone()))
            .push_bind(refund.is_some_and(|refund| refund.commit_refused))
            .push_bind(operation.cost_micro_usd)
            .push_bind(operation.refunded_in_parts_kopecks);
    })
    .await
}

async fn new_operations(
    connection: &mut SqliteConnection,
    operations: &[&Operation],
) -> Answer<()> {
    let around = Around {
        before: "insert into operation_records
                     (user_id, id, number, operation_type, model, state, source, price_kopecks,
                      idempotency_key, created_at, expires_at, ended_at, refund_reason,
                      refund_actor, commit_refused, cost_micro_usd, metadata,
                      list_price_kopecks, promo_code, refunded_in_parts_kopecks) ",
        after: "",
    };
    let bind = |row: &mut many::Row<'_>, operation: &&Operation| {
        let refund = operation.refund.as_ref();
        row.push_bind(operation.user.get())
            .push_bind(operation.id.as_uuid())
            .push_bind(operation.number)
            .push_bind(operation.operation_type.clone())
            .push_bind(operation.model.clone())
            .push_bind(operation.state.as_str())
            .push_bind(operation.source.as_str())
            .push_bind(operation.price.get())
            .push_bind(operation.key.as_str().to_owned())
            .push_bind(operation.created_at.as_micros())
            .push_bind(operation.expires_at.as_micros())
            .push_bind(operation.ended_at.map(Timestamp::as_micros))
            .push_bind(refund.map(|refund| refund.reason.clone()))
            .push_bind(refund.and_then(|refund| refund.actor.clone()))
            .push_bind(refund.is_some_and(|refund| refund.commit_refused))
            .push_bind(operation.cost_micro_usd)
            .push_bind(rows::metadata_text(&operation.metadata))
            .push_bind(operation.list_price.get())
            .push_bind(operation.promo_code.as_ref().map(|code| code.as_str().to_owned()))
            .push_bind(operation.refunded_in_parts_kopecks);
    };
    many::write(connection, around, operations, bind).await.map(drop)
}

async fn new_entries(connection: &mut SqliteConnection, entries: &[Entry]) -> Answer<()> {
    let around = Around {
        before: "insert into entries
                     (user_id, number, unit, from_account, to_account, amount, cause,
                      operation_id, top_up_id, actor, created_at, balance_after_kopecks,
                      free_operations_after) ",
        after: "",
    };
    let bind = |row: &mut many::Row<'_>, entry: &Entry| {
        row.push_bind(entry.user.get())
            .push_bind(entry.number)
            .push_bind(entry.movement.from.unit().as_str())
            .push_bind(entry.movement.from.as_text())
            .push_bind(entry.movement.to.as_text())
            .push_bind(entry.movement.amount)
            .push_bind(entry.cause.as_str())
            .push_bind(entry.subject.operation().map(|id| id.as_uuid()))
            .push_bind(entry.subject.top_up().map(|id| id.as_uuid()))
            .push_bind(entry.actor.clone())
            .push_bind(entry.at.as_micros())
            .push_bind(entry.balance_after.get())
            .push_bind(entry.free_operations_after);
    };
    many::write(connection, around, entries, bind).await.map(drop)
}

async fn ended_holds(connection: &mut SqliteConnection, holds: &[Hold]) -> Answer<()> {
    let around = Around {
        before: "delete from holds
                 where (user_id, expires_at, operation_id) in (",
        after: ")",
    };
    many::change(connection, around, holds, hold).await
}

async fn new_holds(connection: &mut SqliteConnection, holds: &[Hold]) -> Answer<()> {
    let around =
        Around { before: "insert into holds (user_id, expires_at, operation_id) ", after: "" };
    many::write(connection, around, holds, hold).await.map(drop)
}

fn hold(row: &mut many::Row<'_>, hold: &Hold) {
    row.push_bind(hold.user.get())
        .push_bind(hold.expires_at.as_micros())
        .push_bind(hold.operation.as_uuid());
}
