-- Places say what an entry did: to `revenue` or `used` it committed, from there it refunded, from
-- `held` to anywhere else it released. What an operation cost counts on the day of its commit.
-- An operation is committed once, so no cost counts twice. A day is 86400 seconds here.
select
    (e.created_at + $3) / 86400000000 as day,
    o.operation_type,
    o.model,
    cast(sum(case when e.to_account in ('revenue', 'used') then 1 else 0 end) as bigint)
        as committed,
    cast(sum(case when e.to_account = 'used' then 1 else 0 end) as bigint)
        as committed_free,
    cast(sum(case when e.to_account = 'revenue' then e.amount else 0 end) as bigint)
        as revenue_kopecks,
    cast(sum(case when e.from_account in ('revenue', 'used') then 1 else 0 end) as bigint)
        as refunds,
    cast(sum(case when e.from_account = 'revenue' then e.amount else 0 end) as bigint)
        as refunded_kopecks,
    cast(sum(case when e.to_account in ('revenue', 'used') then coalesce(o.cost_micro_usd, 0)
                  else 0 end) as bigint)
        as cost_micro_usd,
    cast(sum(case when e.from_account = 'held' and e.to_account not in ('revenue', 'used') then 1
                  else 0 end) as bigint)
        as released
from entries e
join operation_records o
    on o.user_id = e.user_id
   and o.id = e.operation_id
where e.created_at >= $1
  and e.created_at < $2
  -- A Reserve moves something that is not decided yet; entries of other causes move it on.
  and e.cause <> 'reserve'
group by 1, 2, 3
limit $4
