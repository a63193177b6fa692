-- What operators offer. The key does not begin with a user: a code is for all of them, and its own
-- row guards how often it is redeemed.
create table promo_codes (
    code text not null primary key,
    kind text not null
        check (kind in ('operation_discount', 'top_up_bonus', 'free_operations', 'free_access')),
    -- Percent of a discount or bonus, number of free operations; 0 for free access.
    value bigint not null check (value >= 0),
    -- The most that a bonus may come to; 0 means no limit.
    bonus_max_kopecks bigint not null check (bonus_max_kopecks >= 0),
    -- When what it gives ends; the end of time if it does not.
    effect_until bigint not null,
    -- 0 means without limit.
    redemptions_max bigint not null check (redemptions_max >= 0),
    redemptions bigint not null check (redemptions >= 0),
    valid_from bigint,
    valid_until bigint,
    created_by text not null,
    create_reason text not null,
    created_at bigint not null,
    stopped_at bigint,
    stopped_by text,
    stop_reason text,
    check (redemptions_max = 0 or redemptions <= redemptions_max),
    check ((stopped_at is null) = (stopped_by is null)),
    check ((stopped_at is null) = (stop_reason is null))
);
