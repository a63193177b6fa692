-- What persons did to an account, each under its key, once, for ever: adjustments of the balance,
-- grants of free operations, refunds of a part of an operation.
create table interventions (
    user_id integer not null check (user_id > 0),
    kind text not null check (kind in ('adjustment', 'grant', 'partial_refund')),
    idempotency_key text not null,
    -- Kopecks, below zero if they were taken; or free operations.
    amount integer not null check (amount <> 0),
    -- The operation that was refunded in part.
    operation_id blob,
    actor text not null,
    reason text not null,
    entry_number integer not null check (entry_number > 0),
    created_at integer not null,
    primary key (user_id, kind, idempotency_key),
    check ((kind = 'partial_refund') = (operation_id is not null)),
    check (amount > 0 or kind = 'adjustment')
) strict;
