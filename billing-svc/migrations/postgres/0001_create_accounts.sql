-- One user's money and free operations in one row: a decision locks and changes only this row.
-- It also proves that the user exists, so no other table refers to it with a foreign key, which
-- would cost a lock on every insert.
-- Room is left on each page (PostgreSQL), so that an update stays on it.
-- Times are microseconds since 1970, given by the service.
create table accounts (
    user_id bigint not null primary key check (user_id > 0),
    -- What can be spent. Below zero only by what reversed top-ups took back.
    balance_kopecks bigint not null,
    reversed_kopecks bigint not null default 0 check (reversed_kopecks >= 0),
    held_kopecks bigint not null check (held_kopecks >= 0),
    free_operations bigint not null check (free_operations >= 0),
    held_free_operations bigint not null check (held_free_operations >= 0),
    -- Numbers are given under this row's lock, so that they have no gaps.
    last_entry_number bigint not null check (last_entry_number >= 0),
    last_event_number bigint not null check (last_event_number >= 0),
    created_at bigint not null,
    check (balance_kopecks + reversed_kopecks >= 0)
) with (fillfactor = 50);
