-- The name that operators know. Prices are exact roubles, times are UTC.
-- An overdue hold shows as reserved until its account is touched.
create view operations as
select
    o.user_id,
    o.number,
    lower(substr(hex(o.id), 1, 8) || '-' || substr(hex(o.id), 9, 4) || '-'
        || substr(hex(o.id), 13, 4) || '-' || substr(hex(o.id), 17, 4) || '-'
        || substr(hex(o.id), 21)) as id,
    o.operation_type,
    o.model,
    o.state,
    o.source,
    iif(o.price_kopecks < 0, '-', '') || printf('%d.%02d', abs(o.price_kopecks) / 100, abs(o.price_kopecks) % 100) as price,
    strftime('%Y-%m-%d %H:%M:%f', o.created_at / 1000000.0, 'unixepoch') as created_at,
    strftime('%Y-%m-%d %H:%M:%f', o.expires_at / 1000000.0, 'unixepoch') as expires_at,
    strftime('%Y-%m-%d %H:%M:%f', o.ended_at / 1000000.0, 'unixepoch') as ended_at,
    o.refund_reason,
    o.refund_actor,
    o.idempotency_key
from operation_records o;
