-- What consumers have to be told: a row for each of them, written in the transaction that caused
-- it. What it is about is read from the operation or top-up.
create table events (
    user_id bigint not null check (user_id > 0),
    consumer text not null,
    number bigint not null check (number > 0),
    kind text not null,
    operation_id uuid,
    top_up_id uuid,
    balance_after_kopecks bigint not null,
    created_at bigint not null,
    -- Nobody else is lent it before this moment.
    lent_until bigint not null,
    acked_at bigint,
    primary key (user_id, consumer, number),
    check ((operation_id is null) <> (top_up_id is null))
);
