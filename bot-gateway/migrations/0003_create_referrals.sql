-- Who came by whose link. A row is there before its user is registered, so that no kill loses it.
create table referrals (
    user_id bigint primary key not null,
    referrer_id bigint not null,
    created_ms bigint not null,
    -- 0 until both were rewarded.
    rewarded_ms bigint not null default 0,
    -- What each of them got.
    free_operations bigint not null default 0
);
create index referrals_referrer on referrals (referrer_id);
