//! What nearly every batch writes, in one statement: accounts, operations, holds and entries.

use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use crate::domain::{Account, Entry, Operation, Timestamp};
use crate::store::{Answer, ChangedOperations, Hold, StoreError, rows};

type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// Writes it; every account and hold that is to be changed must be there.
pub(super) async fn operations(
    connection: &mut PgConnection,
    changes: ChangedOperations<'_>,
) -> Answer<()> {
    let statement = sqlx::query(include_str!("write_operations.sql"));
    let statement = changed_accounts(statement, changes.accounts);
    let statement = operation_rows(statement, changes.changed);
    let statement = operation_rows(statement, changes.new);
    let statement = new_entries(statement, changes.entries);
    let statement = holds(statement, changes.ended_holds);
    let statement = holds(statement, changes.new_holds);
    let done = statement.fetch_one(connection).await?;
    let found = |what| Ok::<_, StoreError>(done.try_get::<i64, _>(what)?.unsigned_abs());
    StoreError::expect_rows(changes.accounts.len(), found("accounts")?)?;
    StoreError::expect_rows(changes.ended_holds.len(), found("holds")?)
}

fn changed_accounts<'q>(statement: Statement<'q>, accounts: &[&Account]) -> Statement<'q> {
    let number = |of: fn(&Account) -> i64| accounts.iter().map(|a| of(a)).collect::<Vec<_>>();
    statement
        .bind(number(|a| a.user.get()))
        .bind(number(|a| a.balance.get()))
        .bind(number(|a| a.held.get()))
        .bind(number(|a| a.free_operations))
        .bind(number(|a| a.held_free_operations))
        .bind(number(|a| a.reversed_kopecks))
        .bind(number(|a| a.redemptions_until.as_micros()))
        .bind(number(|a| a.last_entry))
        .bind(number(|a| a.last_event))
}

fn operation_rows<'q>(statement: Statement<'q>, operations: &[&Operation]) -> Statement<'q> {
    let number = |of: fn(&Operation) -> i64| {
        operations.iter().map(|operation| of(operation)).collect::<Vec<_>>()
    };
    let all = || operations.iter();
    statement
        .bind(number(|o| o.user.get()))
        .bind(all().map(|o| o.id.as_uuid()).collect::<Vec<_>>())
        .bind(number(|o| o.number))
        .bind(all().map(|o| o.operation_type.clone()).collect::<Vec<_>>())
        .bind(all().map(|o| o.model.clone()).collect::<Vec<_>>())
        .bind(all().map(|o| o.state.as_str()).collect::<Vec<_>>())
        .bind(all().map(|o| o.source.as_str()).collect::<Vec<_>>())
        .bind(number(|o| o.price.get()))
        .bind(all().map(|o| o.key.as_str().to_owned()).collect::<Vec<_>>())
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
        .bind(
            all()
                .map(|o| o.promo_code.as_ref().map(|code| code.as_str().to_owned()))
                .collect::<Vec<_>>(),
        )
        .bind(number(|o| o.refunded_in_parts_kopecks))
}

fn new_entries<'q>(statement: Statement<'q>, entries: &[Entry]) -> Statement<'q> {
    let number = |of: fn(&Entry) -> i64| entries.iter().map(of).collect::<Vec<_>>();
    let all = || entries.iter();
    statement
        .bind(number(|e| e.user.get()))
        .bind(number(|e| e.number))
        .bind(all().map(|e| e.movement.from.unit().as_str()).collect::<Vec<_>>())
        .bind(all().map(|e| e.movement.from.as_text().into_owned()).collect::<Vec<_>>())
        .bind(all().map(|e| e.movement.to.as_text().into_owned()).collect::<Vec<_>>())
        .bind(number(|e| e.movement.amount))
        .bind(all().map(|e| e.cause.as_str()).collect::<Vec<_>>())
        .bind(all().map(|e| e.subject.operation().map(|id| id.as_uuid())).collect::<Vec<_>>())
        .bind(all().map(|e| e.subject.top_up().map(|id| id.as_uuid())).collect::<Vec<_>>())
        .bind(all().map(|e| e.actor.clone()).collect::<Vec<_>>())
        .bind(number(|e| e.at.as_micros()))
        .bind(number(|e| e.balance_after.get()))
        .bind(number(|e| e.free_operations_after))
}

fn holds<'q>(statement: Statement<'q>, holds: &[Hold]) -> Statement<'q> {
    statement
        .bind(holds.iter().map(|hold| hold.user.get()).collect::<Vec<_>>())
        .bind(holds.iter().map(|hold| hold.expires_at.as_micros()).collect::<Vec<_>>())
        .bind(holds.iter().map(|hold| hold.operation.as_uuid()).collect::<Vec<_>>())
}
