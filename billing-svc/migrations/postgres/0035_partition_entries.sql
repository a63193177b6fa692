-- In parts by user, as operations are.
alter table entries rename to entries_whole;

create table entries
    (like entries_whole including defaults including constraints)
    partition by hash (user_id);
create table entries_0 partition of entries
    for values with (modulus 4, remainder 0);
create table entries_1 partition of entries
    for values with (modulus 4, remainder 1);
create table entries_2 partition of entries
    for values with (modulus 4, remainder 2);
create table entries_3 partition of entries
    for values with (modulus 4, remainder 3);

insert into entries
select *
from entries_whole;
drop table entries_whole;

alter table entries add primary key (user_id, number);
create index entries_created_at
    on entries using brin (created_at) with (autosummarize = on);
