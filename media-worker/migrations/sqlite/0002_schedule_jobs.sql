-- Whose turn it is, the places at the provider, takeovers, cancelling, and how refusals are settled.
-- SQLite cannot change a check, so the table is made anew.
create table jobs_new (
  user_id integer not null check (user_id > 0),
  operation_id text not null,
  mode text not null check (mode in ('generate', 'edit', 'merge', 'face_swap', 'retouch', 'upscale')),
  model text not null,
  prompt text not null,                    -- emptied some time after the end
  inputs text not null,                    -- JSON list of input ids, in order
  payload_sha256 text not null,            -- of mode, model, prompt and inputs: what a repeat must equal
  request_id text not null,                -- of the submitting call, for the logs
  state text not null default 'queued' check (state in (
    'queued', 'submitting', 'submitted', 'committing', 'charging', 'refunding', 'succeeded', 'failed')),
  created_at integer not null,
  deadline_at integer not null,
  -- Who works on it, and when it is next worth working on.
  run_at integer not null,
  tries integer not null default 0,        -- steps in a row that are to be tried again later
  attempts integer not null default 0,     -- claims that were not given back
  lease_token text,                        -- fences late workers
  lease_until integer,
  -- At the provider.
  endpoint text,
  fal_key_index integer,
  fal_body text,                           -- as it was sent; emptied with the prompt
  submitted_at integer,
  fal_request_id text,
  fal_status_url text,
  fal_response_url text,
  fal_cancel_url text,
  -- How it ends.
  failure_reason text check (failure_reason in ('content_refused', 'bad_input', 'no_face',
    'provider_failed', 'overloaded', 'provider_locked', 'timed_out', 'outcome_unknown',
    'hold_expired', 'cancelled')),
  failure_detail text,
  cost_micro_usd integer check (cost_micro_usd >= 0),
  result_file text,                        -- null again once the file is gone
  result_content_type text,
  result_size_bytes integer,
  result_width integer,
  result_height integer,
  ended_at integer,
  -- How the end is told.
  end_number integer,                      -- of the user, from 1, without gaps
  lent_until integer,
  acked_at integer,
  forgotten integer not null default 0,    -- 1 once prompt, body and picture are gone
  turn integer not null default 0,         -- of the jobs that wait, the lowest is next
  place integer check (place >= 0),        -- of its key's FAL_MAX_CONCURRENT, while the provider may work on it
  endpoints_failed text not null default '[]', -- JSON list: will not be asked again for it
  place_until integer,                     -- it is kept so long after an end that the provider may not know of
  cancel_asked_at integer,                 -- when the user asked for the end
  charged integer not null default 0,      -- 1: failed, and the operation was committed all the same
  refusals_left integer,                   -- after a refusal: how many were still to be given back that day
  primary key (user_id, operation_id),
  unique (user_id, end_number),
  check ((state in ('succeeded', 'failed')) = (end_number is not null))
) strict;

insert into jobs_new (
  user_id, operation_id, mode, model, prompt, inputs, payload_sha256, request_id, state, created_at,
  deadline_at, run_at, tries, attempts, lease_token, lease_until, endpoint, fal_key_index, fal_body,
  submitted_at, fal_request_id, fal_status_url, fal_response_url, fal_cancel_url, failure_reason,
  failure_detail, cost_micro_usd, result_file, result_content_type, result_size_bytes, result_width,
  result_height, ended_at, end_number, lent_until, acked_at, forgotten
)
select user_id, operation_id, mode, model, prompt, inputs, payload_sha256, request_id, state, created_at,
  deadline_at, run_at, tries, attempts, lease_token, lease_until, endpoint, fal_key_index, fal_body,
  submitted_at, fal_request_id, fal_status_url, fal_response_url, fal_cancel_url, failure_reason,
  failure_detail, cost_micro_usd, result_file, result_content_type, result_size_bytes, result_width,
  result_height, ended_at, end_number, lent_until, acked_at, forgotten
from jobs;

drop table jobs;
alter table jobs_new rename to jobs;

create index jobs_open on jobs (run_at) where state not in ('succeeded', 'failed');
create index jobs_to_tell on jobs (user_id, end_number) where end_number is not null and acked_at is null;
create index jobs_to_forget on jobs (acked_at) where acked_at is not null and forgotten = 0;
create unique index jobs_places on jobs (fal_key_index, place) where place is not null;
create index jobs_waiting on jobs (turn, created_at, user_id, run_at) where state = 'queued';
create index jobs_open_of_user on jobs (user_id, turn) where state not in ('succeeded', 'failed');

-- Refusals of content that were given back, of one user on one day (Moscow's, as YYYY-MM-DD).
create table refusals (
  user_id integer not null check (user_id > 0),
  day text not null,
  given_back integer not null check (given_back >= 0),
  primary key (user_id, day)
) strict;

-- One row. Whoever begins a job locks it first, so that places and users' shares are counted exactly.
create table queue (
  id integer primary key check (id = 1),
  begun_turn integer not null                  -- of the job begun last: newcomers join here
) strict;

insert into queue (id, begun_turn) values (1, 0);
