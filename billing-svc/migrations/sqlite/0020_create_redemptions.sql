-- Each user's use of a promo code, once, for ever, with what it gave at that moment.
create table redemptions (
    user_id integer not null check (user_id > 0),
    code text not null,
    idempotency_key text not null,
    kind text not null
        check (kind in ('operation_discount', 'top_up_bonus', 'free_operations', 'free_access')),
    value integer not null check (value >= 0),
    bonus_max_kopecks integer not null check (bonus_max_kopecks >= 0),
    effect_until integer not null,
    redeemed_at integer not null,
    -- When it was used up: at once for free operations, by a top-up for a bonus.
    used_at integer,
    -- The entry that gave the free operations.
    entry_number integer,
    -- The top-up that got the bonus.
    top_up_id blob,
    primary key (user_id, code),
    unique (user_id, idempotency_key)
) strict;
