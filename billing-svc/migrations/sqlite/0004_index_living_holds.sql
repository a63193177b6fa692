-- A touch looks for overdue holds of one user, the sweeper for users that have any. Only living
-- holds are in it, so it stays small.
create index operation_records_living
    on operation_records (user_id, expires_at)
    where state = 'reserved';
