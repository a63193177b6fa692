-- What fal.ai's webhooks say.
-- In the address that fal.ai is given with a submit; nobody else knows it.
alter table jobs add column webhook_token text;
-- When it was said that the request is over, or the user asked for its end: look at once.
alter table jobs add column hinted_at bigint;
-- How fal.ai calls the request, where the answer to the submit was lost.
alter table jobs add column hint_request_id text;

create unique index jobs_webhooks on jobs (webhook_token) where webhook_token is not null;
create index jobs_hinted on jobs (hinted_at) where hinted_at is not null and state in ('submitting', 'submitted');
