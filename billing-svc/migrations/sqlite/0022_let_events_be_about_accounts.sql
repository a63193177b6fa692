-- An adjustment or a grant is about the account alone. An event that says how much moved keeps it.
-- SQLite changes a check only by a new table.
create table events_new (
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
    amount integer not null default 0,
    primary key (user_id, consumer, number),
    check (operation_id is null or top_up_id is null)
) strict;

insert into events_new
    (user_id, consumer, number, kind, operation_id, top_up_id, balance_after_kopecks, created_at,
     lent_until, acked_at)
select user_id, consumer, number, kind, operation_id, top_up_id, balance_after_kopecks, created_at,
       lent_until, acked_at
from events;

drop table events;
alter table events_new rename to events;

create index events_unacknowledged
    on events (consumer, user_id, number)
    where acked_at is null;
