-- Lending looks for the lowest unacknowledged number of each user; what is done is not in it.
create index events_unacknowledged
    on events (consumer, user_id, number)
    where acked_at is null;
