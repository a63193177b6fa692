-- What consumers have to be told: a row for each of them, written in the transaction that caused
-- it. What it is about is read from the operation or top-up.
create table events (
    user_id integer not null check (user_id > 0),
    consumer text not null,
    number integer not null check (number > 0),
    kind text not null,
    operation_id blob,
    top_up_id blob,
    balance_after_kopecks integer not null,
    created_at integer not null,
    -- Nobody else is lent it before this moment.
    lent_until integer not null,
    acked_at integer,
    primary key (user_id, consumer, number),
    check ((operation_id is null) <> (top_up_id is null))
) strict;
