-- Operations and what they hold. The view `operations` shows them to people.
-- Keys are permanent: a repeated Reserve meets its operation here, for ever.
create table operation_records (
    user_id bigint not null check (user_id > 0),
    id uuid not null,
    -- Number of the entry that reserved it: orders a user's operations, which times cannot.
    number bigint not null check (number > 0),
    operation_type text not null,
    model text not null,
    state text not null check (state in ('reserved', 'committed', 'refunded', 'expired')),
    source text not null check (source in ('free_operation', 'balance')),
    price_kopecks bigint not null check (price_kopecks between 1 and 1000000000),
    idempotency_key text not null,
    created_at bigint not null,
    expires_at bigint not null,
    ended_at bigint,
    refund_reason text,
    refund_actor text,
    -- A late commit was refused, which ended it: its repeats get the same answer.
    commit_refused boolean not null,
    cost_micro_usd bigint check (cost_micro_usd between 0 and 1000000000000),
    -- JSON of texts. May be erased.
    metadata text not null,
    primary key (user_id, id),
    unique (user_id, idempotency_key),
    unique (user_id, number),
    check ((state = 'reserved') = (ended_at is null)),
    check ((state = 'refunded') = (refund_reason is not null)),
    check (refund_actor is null or state = 'refunded'),
    check (cost_micro_usd is null or state in ('committed', 'refunded')),
    check (expires_at > created_at and expires_at <= created_at + 86400000000),
    check (not commit_refused or state = 'refunded')
) with (fillfactor = 80);
