-- What a provider has is compared with what was settled and taken back here in the last days, over
-- all users.
create index top_ups_settled
    on top_ups (provider, ended_at, id)
    where state = 'settled';
create index reversals_created_at
    on reversals (provider, created_at, user_id, refund_id);
