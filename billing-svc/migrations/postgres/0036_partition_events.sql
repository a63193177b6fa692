-- In parts by user, as operations are.
alter table events rename to events_whole;

create table events
    (like events_whole including defaults including constraints)
    partition by hash (user_id);
create table events_0 partition of events
    for values with (modulus 4, remainder 0);
create table events_1 partition of events
    for values with (modulus 4, remainder 1);
create table events_2 partition of events
    for values with (modulus 4, remainder 2);
create table events_3 partition of events
    for values with (modulus 4, remainder 3);

insert into events
select *
from events_whole;
drop table events_whole;

alter table events add primary key (user_id, consumer, number);
create index events_unacknowledged
    on events (consumer, user_id, number)
    where acked_at is null;
