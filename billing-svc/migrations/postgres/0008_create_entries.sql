-- The ledger: append-only, double entry, two units. Each line moves one amount of one unit between
-- two accounts of that unit; every account's sum is what went to it less what went from it.
-- The number, not the time, gives the order.
create table entries (
    user_id bigint not null check (user_id > 0),
    number bigint not null check (number > 0),
    unit text not null check (unit in ('kopecks', 'free_operations')),
    from_account text not null,
    to_account text not null,
    amount bigint not null check (amount > 0),
    -- Not a closed list: causes are added, and an old version must not be stopped by that.
    cause text not null,
    operation_id uuid,
    top_up_id uuid,
    -- Person who caused it, if a person did.
    actor text,
    created_at bigint not null,
    balance_after_kopecks bigint not null,
    free_operations_after bigint not null check (free_operations_after >= 0),
    primary key (user_id, number),
    check (from_account <> to_account),
    check (operation_id is null or top_up_id is null),
    check (
        unit <> 'kopecks'
        or (
            (from_account in ('balance', 'held', 'revenue', 'promo', 'adjustment')
                or from_account like 'clearing:%')
            and (to_account in ('balance', 'held', 'revenue', 'promo', 'adjustment')
                or to_account like 'clearing:%')
        )
    ),
    check (
        unit <> 'free_operations'
        or (
            from_account in ('available', 'held', 'used', 'granted')
            and to_account in ('available', 'held', 'used', 'granted')
        )
    )
);
