-- A provider's payment belongs to one top-up for ever. Its key does not begin with the user: two
-- users may claim the same payment, and only one may get it.
create table payment_claims (
    provider text not null,
    payment_id text not null,
    user_id bigint not null check (user_id > 0),
    top_up_id uuid not null,
    claimed_at bigint not null,
    primary key (provider, payment_id)
);
