-- What nearly every batch changes, in one round trip. No part sees what another has written, and
-- none has to: a row is either new or changed, and no table refers to another. Only counts come
-- back; joined to the requests, what an update returns is taken for one row, and becomes quadratic.
with changed_accounts as (
    update accounts a
    set balance_kopecks = r.balance_kopecks,
        held_kopecks = r.held_kopecks,
        free_operations = r.free_operations,
        held_free_operations = r.held_free_operations,
        reversed_kopecks = r.reversed_kopecks,
        redemptions_until = r.redemptions_until,
        last_entry_number = r.last_entry_number,
        last_event_number = r.last_event_number
    from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
         $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
        as r (user_id, balance_kopecks, held_kopecks, free_operations, held_free_operations,
              reversed_kopecks, redemptions_until, last_entry_number, last_event_number)
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
        cost_micro_usd = r.cost_micro_usd,
        refunded_in_parts_kopecks = r.refunded_in_parts_kopecks
    from unnest($10::bigint[], $11::uuid[], $12::text[], $13::bigint[], $14::bigint[],
         $15::text[], $16::text[], $17::boolean[], $18::bigint[], $19::bigint[])
        as r (user_id, id, state, expires_at, ended_at, refund_reason, refund_actor,
              commit_refused, cost_micro_usd, refunded_in_parts_kopecks)
    where o.user_id = r.user_id
      and o.id = r.id
    returning 1
), new_operations as (
    insert into operation_records
        (user_id, id, number, operation_type, model, state, source, price_kopecks,
         idempotency_key, created_at, expires_at, ended_at, refund_reason, refund_actor,
         commit_refused, cost_micro_usd, metadata, list_price_kopecks, promo_code,
         refunded_in_parts_kopecks)
    select *
    from unnest($20::bigint[], $21::uuid[], $22::bigint[], $23::text[], $24::text[], $25::text[],
         $26::text[], $27::bigint[], $28::text[], $29::bigint[], $30::bigint[], $31::bigint[],
         $32::text[], $33::text[], $34::boolean[], $35::bigint[], $36::text[], $37::bigint[],
         $38::text[], $39::bigint[])
), new_entries as (
    insert into entries
        (user_id, number, unit, from_account, to_account, amount, cause, operation_id, top_up_id,
         actor, created_at, balance_after_kopecks, free_operations_after)
    select *
    from unnest($40::bigint[], $41::bigint[], $42::text[], $43::text[], $44::text[],
         $45::bigint[], $46::text[], $47::uuid[], $48::uuid[], $49::text[], $50::bigint[],
         $51::bigint[], $52::bigint[])
), ended_holds as (
    delete from holds h
    using unnest($53::bigint[], $54::bigint[], $55::uuid[])
        as r (user_id, expires_at, operation_id)
    where h.user_id = r.user_id
      and h.expires_at = r.expires_at
      and h.operation_id = r.operation_id
    returning 1
), new_holds as (
    insert into holds (user_id, expires_at, operation_id)
    select *
    from unnest($56::bigint[], $57::bigint[], $58::uuid[])
)
select
    (select count(*) from changed_accounts) as accounts,
    (select count(*) from changed_operations) as operations,
    (select count(*) from ended_holds) as holds
