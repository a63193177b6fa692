-- What a provider has paid back of a top-up, each refund once, for ever.
create table reversals (
    user_id integer not null check (user_id > 0),
    provider text not null,
    refund_id text not null,
    top_up_id blob not null,
    refunded_minor_units integer not null check (refunded_minor_units between 1 and 1000000000),
    refunded_currency text not null,
    -- What it has taken back of the credit and of the bonus; a small refund may come to nothing.
    reversed_kopecks integer not null check (reversed_kopecks >= 0),
    reversed_bonus_kopecks integer not null check (reversed_bonus_kopecks >= 0),
    created_at integer not null,
    primary key (user_id, provider, refund_id)
) strict;
