-- Holds that live: a touch looks here for the overdue ones of one user, the sweeper for users that
-- have any. Apart from operations, so that the end of a hold changes nothing that is indexed there.
create table holds (
    user_id integer not null check (user_id > 0),
    expires_at integer not null,
    operation_id blob not null,
    primary key (user_id, expires_at, operation_id)
) strict, without rowid;
