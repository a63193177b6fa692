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
    -- They are there. An update could find them by any index that begins with the user; this finds
    -- them by their key, whatever the planner thinks, and opens only the partitions that it meets.
    insert into operation_records as o
        (user_id, id, number, operation_type, model, state, source, price_kopecks,
         idempotency_key, created_at, expires_at, ended_at, refund_reason, refund_actor,
         commit_refused, cost_micro_usd, metadata, list_price_kopecks, promo_code,
         refunded_in_parts_kopecks)
    select *
    from unnest($10::bigint[], $11::uuid[], $12::bigint[], $13::text[], $14::text[], $15::text[],
         $16::text[], $17::bigint[], $18::text[], $19::bigint[], $20::bigint[], $21::bigint[],
         $22::text[], $23::text[], $24::boolean[], $25::bigint[], $26::text[], $27::bigint[],
         $28::text[], $29::bigint[])
    on conflict (user_id, id) do update
    set state = excluded.state,
        expires_at = excluded.expires_at,
        ended_at = excluded.ended_at,
        refund_reason = excluded.refund_reason,
        refund_actor = excluded.refund_actor,
        commit_refused = excluded.commit_refused,
        cost_micro_usd = excluded.cost_micro_usd,
        refunded_in_parts_kopecks = excluded.refunded_in_parts_kopecks
), new_operations as (
    insert into operation_records
        (user_id, id, number, operation_type, model, state, source, price_kopecks,
         idempotency_key, created_at, expires_at, ended_at, refund_reason, refund_actor,
         commit_refused, cost_micro_usd, metadata, list_price_kopecks, promo_code,
         refunded_in_parts_kopecks)
    select *
    from unnest($30::bigint[], $31::uuid[], $32::bigint[], $33::text[], $34::text[], $35::text[],
         $36::text[], $37::bigint[], $38::text[], $39::bigint[], $40::bigint[], $41::bigint[],
         $42::text[], $43::text[], $44::boolean[], $45::bigint[], $46::text[], $47::bigint[],
         $48::text[], $49::bigint[])
), new_entries as (
    insert into entries
        (user_id, number, unit, from_account, to_account, amount, cause, operation_id, top_up_id,
         actor, created_at, balance_after_kopecks, free_operations_after)
    select *
    from unnest($50::bigint[], $51::bigint[], $52::text[], $53::text[], $54::text[],
         $55::bigint[], $56::text[], $57::uuid[], $58::uuid[], $59::text[], $60::bigint[],
         $61::bigint[], $62::bigint[])
), ended_holds as (
    delete from holds h
    using unnest($63::bigint[], $64::bigint[], $65::uuid[])
        as r (user_id, expires_at, operation_id)
    where h.user_id = r.user_id
      and h.expires_at = r.expires_at
      and h.operation_id = r.operation_id
    returning 1
), new_holds as (
    insert into holds (user_id, expires_at, operation_id)
    select *
    from unnest($66::bigint[], $67::bigint[], $68::uuid[])
)
select
    (select count(*) from changed_accounts) as accounts,
    (select count(*) from ended_holds) as holds
