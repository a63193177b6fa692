-- An adjustment or a grant is about the account alone. An event that says how much moved keeps it.
alter table events
    add column amount bigint not null default 0,
    drop constraint events_check,
    add check (operation_id is null or top_up_id is null);
