//! The books, proved at the end of a run.

use sqlx::any::AnyPoolOptions;

/// Accounts that differ from the sums of their entries or open operations, by a plain join of
/// sums: `billing-svc verify` does it better, and is to take this function's place.
const WRONG: &str = "
    select count(*)
    from accounts a
    left join (
        select e.user_id,
               count(*) as entries,
               sum(case when e.to_account = 'balance' then e.amount
                        when e.from_account = 'balance' then -e.amount else 0 end) as balance,
               sum(case when e.to_account = 'available' then e.amount
                        when e.from_account = 'available' then -e.amount else 0 end) as free
        from entries e
        group by e.user_id
    ) s on s.user_id = a.user_id
    left join (
        select o.user_id,
               sum(case when o.source = 'balance' then o.price_kopecks else 0 end) as held,
               sum(case when o.source = 'balance' then 0 else 1 end) as held_free
        from operation_records o
        where o.state = 'reserved'
        group by o.user_id
    ) h on h.user_id = a.user_id
    where a.balance_kopecks <> coalesce(s.balance, 0)
       or a.free_operations <> coalesce(s.free, 0)
       or a.last_entry_number <> coalesce(s.entries, 0)
       or a.held_kopecks <> coalesce(h.held, 0)
       or a.held_free_operations <> coalesce(h.held_free, 0)";

/// How many accounts do not add up; nobody may write meanwhile.
pub(crate) async fn wrong_accounts(url: &str) -> anyhow::Result<i64> {
    sqlx::any::install_default_drivers();
    let pool = AnyPoolOptions::new().max_connections(1).connect(url).await?;
    let wrong = sqlx::query_scalar(WRONG).fetch_one(&pool).await?;
    pool.close().await;
    Ok(wrong)
}
