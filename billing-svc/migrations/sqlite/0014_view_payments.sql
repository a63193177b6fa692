-- The name that operators know: top-ups. The credited amount is exact roubles, times are UTC.
create view payments as
select
    t.user_id,
    lower(substr(hex(t.id), 1, 8) || '-' || substr(hex(t.id), 9, 4) || '-'
        || substr(hex(t.id), 13, 4) || '-' || substr(hex(t.id), 17, 4) || '-'
        || substr(hex(t.id), 21)) as id,
    t.provider,
    t.provider_payment_id,
    t.state,
    iif(t.credited_kopecks < 0, '-', '') || printf('%d.%02d', abs(t.credited_kopecks) / 100, abs(t.credited_kopecks) % 100) as amount,
    t.paid_minor_units,
    t.paid_currency,
    t.cancel_reason,
    strftime('%Y-%m-%d %H:%M:%f', t.created_at / 1000000.0, 'unixepoch') as created_at,
    strftime('%Y-%m-%d %H:%M:%f', t.ended_at / 1000000.0, 'unixepoch') as ended_at
from top_ups t;
