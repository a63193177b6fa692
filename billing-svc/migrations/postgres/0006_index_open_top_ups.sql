-- The reconciler of a provider reads what is open over all users, the oldest first.
create index top_ups_open
    on top_ups (provider, created_at, id)
    where state = 'open';
