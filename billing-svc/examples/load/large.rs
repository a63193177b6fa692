//! A store that has grown large, made by SQL: what years of work would leave behind.

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};

/// Users whose rows are made in one transaction.
const USERS_AT_ONCE: i64 = 50_000;

/// Half of the users with free operations, half with money, as in the small store; each with as
/// many committed operations as any other.
const STATEMENTS: [&str; 6] = [
    "insert into accounts
         (user_id, balance_kopecks, held_kopecks, free_operations, held_free_operations,
          last_entry_number, last_event_number, created_at)
     select u,
            case when u % 2 = 0 then 1000000000 - $3 * 1000 else 0 end,
            0,
            case when u % 2 = 1 then 10000 - $3 else 0 end,
            0,
            1 + 2 * $3,
            0,
            1700000000000000
     from generate_series($1, $2) u",
    "insert into top_ups
         (user_id, id, provider, state, paid_minor_units, paid_currency, credited_kopecks,
          idempotency_key, snapshot, provider_payment_id, confirmation_url, created_at, ended_at)
     select u, md5('t' || u)::uuid, 'load', 'settled', 1000000000, 'RUB', 1000000000,
            'load:' || u, '', 'load:' || u, '', 1700000000000000, 1700000000000001 + 0 * $3
     from generate_series($1, $2) u
     where u % 2 = 0",
    "insert into payment_claims (provider, payment_id, user_id, top_up_id, claimed_at)
     select 'load', 'load:' || u, u, md5('t' || u)::uuid, 1700000000000001 + 0 * $3
     from generate_series($1, $2) u
     where u % 2 = 0",
    "insert into operation_records
         (user_id, id, number, operation_type, model, state, source, price_kopecks,
          idempotency_key, created_at, expires_at, ended_at, commit_refused, cost_micro_usd,
          metadata, list_price_kopecks)
     select u,
            (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7'
                || substr(md5(u || ':' || n), 1, 3) || '8' || substr(md5(u || ':' || n), 4, 15))::uuid,
            2 * n,
            'generate', '', 'committed',
            case when u % 2 = 0 then 'balance' else 'free_operation' end,
            1000,
            'bot:draft:' || md5('k' || u || ':' || n),
            1700000000000000 + n * 1000000,
            1700001800000000 + n * 1000000,
            1700000000500000 + n * 1000000,
            false, 39000, '{}', 1000
     from generate_series($1, $2) u
     cross join generate_series(1, $3) n",
    "insert into entries
         (user_id, number, unit, from_account, to_account, amount, cause, operation_id, top_up_id,
          created_at, balance_after_kopecks, free_operations_after)
     select u, n,
            case when u % 2 = 0 then 'kopecks' else 'free_operations' end,
            case when n = 1 then case when u % 2 = 0 then 'clearing:load' else 'granted' end
                 when n % 2 = 0 then case when u % 2 = 0 then 'balance' else 'available' end
                 else 'held' end,
            case when n = 1 then case when u % 2 = 0 then 'balance' else 'available' end
                 when n % 2 = 0 then 'held'
                 else case when u % 2 = 0 then 'revenue' else 'used' end end,
            case when n = 1 then case when u % 2 = 0 then 1000000000 else 10000 end
                 else case when u % 2 = 0 then 1000 else 1 end end,
            case when n = 1 then case when u % 2 = 0 then 'top_up' else 'welcome' end
                 when n % 2 = 0 then 'reserve'
                 else 'commit' end,
            case when n > 1 then
                (lpad(to_hex(1700000000000 + n / 2 * 1000), 12, '0') || '7'
                    || substr(md5(u || ':' || n / 2), 1, 3) || '8'
                    || substr(md5(u || ':' || n / 2), 4, 15))::uuid end,
            case when n = 1 and u % 2 = 0 then md5('t' || u)::uuid end,
            1700000000000000 + n / 2 * 1000000,
            case when u % 2 = 0 then 1000000000 - n / 2 * 1000 else 0 end,
            case when u % 2 = 1 then 10000 - n / 2 else 0 end
     from generate_series($1, $2) u
     cross join generate_series(1, 1 + 2 * $3) n",
    // Hashes of nothing: what is measured only goes on from them, and these books are not proven.
    "insert into chain_heads (user_id, number, hash, chained_at)
     select u, 1 + 2 * $3, decode(repeat('00', 32), 'hex'), 1700000000000000
     from generate_series($1, $2) u",
];

/// Makes users 1 … `users` with `operations` in all. Takes minutes for millions.
pub(crate) async fn fill(url: &str, users: i64, operations: i64) -> anyhow::Result<()> {
    let of_each = operations / users.max(1);
    anyhow::ensure!((0..10_000).contains(&of_each), "--large-operations: up to 9999 for a user");
    let mut connection = PgConnection::connect(url).await?;
    let mut first = 1;
    while first <= users {
        let last = users.min(first + USERS_AT_ONCE - 1);
        let mut tx = connection.begin().await?;
        for statement in STATEMENTS {
            sqlx::query(statement)
                .bind(first)
                .bind(last)
                .bind(of_each)
                .execute(&mut *tx)
                .await
                .context("fill the large store")?;
        }
        tx.commit().await?;
        tracing::info!(users = last, "large store filled so far");
        first = last + 1;
    }
    for statement in ["vacuum analyze", "checkpoint"] {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}
