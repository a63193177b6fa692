-- What nearly every batch changes, in one round trip. No part sees what another has written, and
-- none has to: a row is either new or changed, and no table refers to another. Only counts come
-- back; joined to the requests, what an update returns is taken for one row, and becomes quadratic.
with changed_accounts as (
    update accounts a
    set balance_kopecks = r.balance_kopecks,
        held_kopecks = r.held_kopecks,
        free_operations = r.free_operations,
        held_free_operations = r.held_free_operations,
        last_entry_number = r.last_entry_number,
        last_event_number = r.last_event_number
    from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
         $6::bigint[], $7::bigint[])
        as r (user_id, balance_kopecks, held_kopecks, free_operations, held_free_operations,
              last_entry_number, last_event_number)
    where a.user_id = r.user_id
    returning 1
), changed_operations as (
    update operation_records o
    set state = r.state,
        expires_at = r.expires_at,
        ended_at = r.ended_at,
        refund_reason = r.refund_reason,
        refund_actor = r.refund_actor,
        commit_refused = r.commit_refused,
        cost_micro_usd = r.cost_micro_usd
    from unnest($8::bigint[], $9::uuid[], $10::text[], $11::bigint[], $12::bigint[], $13::text[],
         $14::text[], $15::boolean[], $16::bigint[])
        as r (user_id, id, state, expires_at, ended_at, refund_reason, refund_actor,
              commit_refused, cost_micro_usd)
    where o.user_id = r.user_id
      and o.id = r.id
    returning 1
), new_operations as (
    insert into operation_records
        (user_id, id, number, operation_type, model, state, source, price_kopecks,
         idempotency_key, created_at, expires_at, ended_at, refund_reason, refund_actor,
         commit_refused, cost_micro_usd, metadata)
    select *
    from unnest($17::bigint[], $18::uuid[], $19::bigint[], $20::text[], $21::text[], $22::text[],
         $23::text[], $24::bigint[], $25::text[], $26::bigint[], $27::bigint[], $28::bigint[],
         $29::text[], $30::text[], $31::boolean[], $32::bigint[], $33::text[])
), new_entries as (
    insert into entries
        (user_id, number, unit, from_account, to_account, amount, cause, operation_id, top_up_id,
         actor, created_at, balance_after_kopecks, free_operations_after)
    select *
    from unnest($34::bigint[], $35::bigint[], $36::text[], $37::text[], $38::text[],
         $39::bigint[], $40::text[], $41::uuid[], $42::uuid[], $43::text[], $44::bigint[],
         $45::bigint[], $46::bigint[])
), ended_holds as (
    delete from holds h
    using unnest($47::bigint[], $48::bigint[], $49::uuid[])
        as r (user_id, expires_at, operation_id)
    where h.user_id = r.user_id
      and h.expires_at = r.expires_at
      and h.operation_id = r.operation_id
    returning 1
), new_holds as (
    insert into holds (user_id, expires_at, operation_id)
    select *
    from unnest($50::bigint[], $51::bigint[], $52::uuid[])
)
select
    (select count(*) from changed_accounts) as accounts,
    (select count(*) from changed_operations) as operations,
    (select count(*) from ended_holds) as holds
