-- How far each user's entries are chained by hash, and the hash up to there. Written behind the
-- decisions, never by them. Each head is logged too, outside this database.
create table chain_heads (
    user_id bigint not null primary key check (user_id > 0),
    -- The last entry that is chained.
    number bigint not null check (number > 0),
    hash bytea not null check (length(hash) = 32),
    chained_at bigint not null
);
