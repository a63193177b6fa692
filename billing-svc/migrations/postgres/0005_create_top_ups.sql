-- Money on its way in. The view `payments` shows it to people.
create table top_ups (
    user_id bigint not null check (user_id > 0),
    id uuid not null,
    provider text not null,
    state text not null check (state in ('open', 'settled', 'cancelled')),
    -- What the user is asked for at the provider, in the smallest unit of the currency.
    paid_minor_units bigint not null check (paid_minor_units between 1 and 1000000000),
    paid_currency text not null,
    credited_kopecks bigint not null check (credited_kopecks between 1 and 1000000000),
    idempotency_key text not null,
    -- The provider request, byte for byte, so that a retry repeats it.
    snapshot bytea not null,
    provider_payment_id text,
    confirmation_url text not null,
    cancel_reason text,
    created_at bigint not null,
    ended_at bigint,
    primary key (user_id, id),
    unique (user_id, idempotency_key),
    check ((state = 'open') = (ended_at is null)),
    check (state <> 'settled' or provider_payment_id is not null),
    check (state <> 'cancelled' or cancel_reason is not null)
);
