-- The name that operators know. Prices are exact roubles, times are UTC.
-- An overdue hold shows as reserved until its account is touched.
create view operations as
select
    o.user_id,
    o.number,
    o.id as id,
    o.operation_type,
    o.model,
    o.state,
    o.source,
    (o.price_kopecks / 100.0)::numeric(20, 2) as price,
    timestamptz 'epoch' + o.created_at * interval '1 microsecond' as created_at,
    timestamptz 'epoch' + o.expires_at * interval '1 microsecond' as expires_at,
    timestamptz 'epoch' + o.ended_at * interval '1 microsecond' as ended_at,
    o.refund_reason,
    o.refund_actor,
    o.idempotency_key
from operation_records o;
