-- Holds that live: a touch looks here for the overdue ones of one user, the sweeper for users that
-- have any. Apart from operations, so that the end of a hold changes nothing that is indexed there.
-- Rows come and go with every operation: the end of the file is not worth the lock that giving it
-- back would take.
create table holds (
    user_id bigint not null check (user_id > 0),
    expires_at bigint not null,
    operation_id uuid not null,
    primary key (user_id, expires_at, operation_id)
) with (vacuum_truncate = false);
