//! The yardstick's transactions: one request each, one statement after the other.

use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use proto::billing::v1 as wire;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct PlainStore {
    pub(crate) pool: PgPool,
    pub(crate) price_kopecks: i64,
    pub(crate) hold_ttl: Duration,
}

/// An account under its lock.
struct Account {
    user: i64,
    balance: i64,
    held: i64,
    free: i64,
    held_free: i64,
    last_entry: i64,
}

/// What an entry says beside the account.
struct Entry {
    unit: &'static str,
    from: &'static str,
    to: &'static str,
    amount: i64,
    cause: &'static str,
    operation: Uuid,
    now: i64,
}

/// Looks whether the key was used before.
async fn look_up(tx: &mut PgConnection, user: i64, key: &str) -> anyhow::Result<()> {
    let known = sqlx::query(
        "select id
         from operation_records
         where user_id = $1
           and idempotency_key = $2",
    )
    .bind(user)
    .bind(key)
    .fetch_optional(tx)
    .await?;
    if known.is_some() {
        bail!("the load generator repeats no key");
    }
    Ok(())
}

impl PlainStore {
    pub(crate) async fn reserve(
        &self,
        request: wire::ReserveRequest,
    ) -> anyhow::Result<wire::Operation> {
        let mut tx = self.pool.begin().await?;
        let mut account = lock(&mut tx, request.user_id).await?;
        look_up(&mut tx, account.user, &request.idempotency_key).await?;
        let now = now()?;
        let is_free = account.free > 0;
        if !is_free && account.balance < self.price_kopecks {
            bail!("too little money");
        }
        let amount = if is_free { 1 } else { self.price_kopecks };
        if is_free {
            account.free -= 1;
            account.held_free += 1;
        } else {
            account.balance -= amount;
            account.held += amount;
        }
        account.last_entry += 1;
        let id = Uuid::now_v7();
        let expires_at = now + i64::try_from(self.hold_ttl.as_micros())?;
        sqlx::query(
            "insert into operation_records
                 (user_id, id, number, operation_type, model, state, source, price_kopecks,
                  idempotency_key, created_at, expires_at, commit_refused, metadata,
                  list_price_kopecks)
             values ($1, $2, $3, $4, $5, 'reserved', $6, $7, $8, $9, $10, false, '{}', $7)",
        )
        .bind(account.user)
        .bind(id)
        .bind(account.last_entry)
        .bind(&request.operation_type)
        .bind(&request.model)
        .bind(if is_free { "free_operation" } else { "balance" })
        .bind(self.price_kopecks)
        .bind(&request.idempotency_key)
        .bind(now)
        .bind(expires_at)
        .execute(&mut *tx)
        .await?;
        sqlx::query("insert into holds (user_id, expires_at, operation_id) values ($1, $2, $3)")
            .bind(account.user)
            .bind(expires_at)
            .bind(id)
            .execute(&mut *tx)
            .await?;
        let [unit, from] =
            if is_free { ["free_operations", "available"] } else { ["kopecks", "balance"] };
        let entry = Entry { unit, from, to: "held", amount, cause: "reserve", operation: id, now };
        insert(&mut tx, &account, &entry).await?;
        update(&mut tx, &account).await?;
        tx.commit().await?;
        Ok(wire::Operation {
            operation_id: id.to_string(),
            user_id: account.user,
            operation_type: request.operation_type,
            model: request.model,
            state: wire::OperationState::Reserved.into(),
            price_kopecks: self.price_kopecks,
            charged_kopecks: if is_free { 0 } else { self.price_kopecks },
            idempotency_key: request.idempotency_key,
            ..wire::Operation::default()
        })
    }

    pub(crate) async fn commit(
        &self,
        request: wire::CommitRequest,
    ) -> anyhow::Result<wire::Operation> {
        let mut tx = self.pool.begin().await?;
        let mut account = lock(&mut tx, request.user_id).await?;
        let id = Uuid::from_str(&request.operation_id)?;
        let row = sqlx::query(
            "select operation_type, model, state, source, price_kopecks, idempotency_key, expires_at
             from operation_records
             where user_id = $1
               and id = $2",
        )
        .bind(account.user)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?
        .context("no such operation")?;
        if row.try_get::<&str, _>("state")? != "reserved" {
            bail!("the load generator commits once");
        }
        let now = now()?;
        let is_free = row.try_get::<&str, _>("source")? == "free_operation";
        let price: i64 = row.try_get("price_kopecks")?;
        let amount = if is_free { 1 } else { price };
        if is_free {
            account.held_free -= 1;
        } else {
            account.held -= amount;
        }
        account.last_entry += 1;
        sqlx::query(
            "update operation_records
             set state = 'committed', ended_at = $3, cost_micro_usd = $4
             where user_id = $1
               and id = $2",
        )
        .bind(account.user)
        .bind(id)
        .bind(now)
        .bind(request.cost_micro_usd)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "delete from holds
             where user_id = $1
               and expires_at = $2
               and operation_id = $3",
        )
        .bind(account.user)
        .bind(row.try_get::<i64, _>("expires_at")?)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        let [unit, to] = if is_free { ["free_operations", "used"] } else { ["kopecks", "revenue"] };
        let entry = Entry { unit, from: "held", to, amount, cause: "commit", operation: id, now };
        insert(&mut tx, &account, &entry).await?;
        update(&mut tx, &account).await?;
        tx.commit().await?;
        committed(&request, &row, is_free)
    }
}

fn committed(
    request: &wire::CommitRequest,
    row: &PgRow,
    is_free: bool,
) -> anyhow::Result<wire::Operation> {
    let price_kopecks = row.try_get("price_kopecks")?;
    Ok(wire::Operation {
        operation_id: request.operation_id.clone(),
        user_id: request.user_id,
        operation_type: row.try_get("operation_type")?,
        model: row.try_get("model")?,
        state: wire::OperationState::Committed.into(),
        price_kopecks,
        charged_kopecks: if is_free { 0 } else { price_kopecks },
        idempotency_key: row.try_get("idempotency_key")?,
        cost_micro_usd: request.cost_micro_usd.unwrap_or_default(),
        ..wire::Operation::default()
    })
}

async fn lock(tx: &mut PgConnection, user: i64) -> anyhow::Result<Account> {
    let row = sqlx::query(
        "select user_id, balance_kopecks, held_kopecks, free_operations, held_free_operations,
                last_entry_number
         from accounts
         where user_id = $1
         for update",
    )
    .bind(user)
    .fetch_optional(tx)
    .await?
    .context("no such user")?;
    Ok(Account {
        user: row.try_get("user_id")?,
        balance: row.try_get("balance_kopecks")?,
        held: row.try_get("held_kopecks")?,
        free: row.try_get("free_operations")?,
        held_free: row.try_get("held_free_operations")?,
        last_entry: row.try_get("last_entry_number")?,
    })
}

async fn insert(tx: &mut PgConnection, account: &Account, entry: &Entry) -> anyhow::Result<()> {
    sqlx::query(
        "insert into entries
             (user_id, number, unit, from_account, to_account, amount, cause, operation_id,
              created_at, balance_after_kopecks, free_operations_after)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(account.user)
    .bind(account.last_entry)
    .bind(entry.unit)
    .bind(entry.from)
    .bind(entry.to)
    .bind(entry.amount)
    .bind(entry.cause)
    .bind(entry.operation)
    .bind(entry.now)
    .bind(account.balance)
    .bind(account.free)
    .execute(tx)
    .await?;
    Ok(())
}

async fn update(tx: &mut PgConnection, account: &Account) -> anyhow::Result<()> {
    sqlx::query(
        "update accounts
         set balance_kopecks = $2, held_kopecks = $3, free_operations = $4,
             held_free_operations = $5, last_entry_number = $6
         where user_id = $1",
    )
    .bind(account.user)
    .bind(account.balance)
    .bind(account.held)
    .bind(account.free)
    .bind(account.held_free)
    .bind(account.last_entry)
    .execute(tx)
    .await?;
    Ok(())
}

fn now() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_micros())?)
}
