-- The name that operators know: top-ups. The credited amount is exact roubles, times are UTC.
create view payments as
select
    t.user_id,
    t.id as id,
    t.provider,
    t.provider_payment_id,
    t.state,
    (t.credited_kopecks / 100.0)::numeric(20, 2) as amount,
    t.paid_minor_units,
    t.paid_currency,
    t.cancel_reason,
    timestamptz 'epoch' + t.created_at * interval '1 microsecond' as created_at,
    timestamptz 'epoch' + t.ended_at * interval '1 microsecond' as ended_at
from top_ups t;
