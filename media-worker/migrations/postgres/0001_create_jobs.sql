-- Pictures that users sent to be worked on. Their bytes lie in the picture store under
-- inputs/<user_id>/<input_id>. Rows that no job touched for a day are dropped.
create table inputs (
  user_id bigint not null check (user_id > 0),
  input_id text not null,
  sha256 text not null,                    -- hex; the same bytes of the same user are one input
  content_type text not null,
  size_bytes bigint not null check (size_bytes > 0),
  width bigint not null check (width > 0),
  height bigint not null check (height > 0),
  touched_at bigint not null,             -- epoch milliseconds, as all times here
  primary key (user_id, input_id),
  unique (user_id, sha256)
);

create index inputs_touched on inputs (touched_at);

-- The work for one operation each. Rows stay: they are what makes a repeated submit harmless.
create table jobs (
  user_id bigint not null check (user_id > 0),
  operation_id text not null,
  mode text not null check (mode in ('generate', 'edit', 'merge', 'face_swap', 'retouch', 'upscale')),
  model text not null,
  prompt text not null,                    -- emptied some time after the end
  inputs text not null,                    -- JSON list of input ids, in order
  payload_sha256 text not null,            -- of mode, model, prompt and inputs: what a repeat must equal
  request_id text not null,                -- of the submitting call, for the logs
  state text not null default 'queued' check (state in (
    'queued', 'submitting', 'submitted', 'committing', 'refunding', 'succeeded', 'failed')),
  created_at bigint not null,
  deadline_at bigint not null,
  -- Who works on it, and when it is next worth working on.
  run_at bigint not null,
  tries bigint not null default 0,        -- steps in a row that are to be tried again later
  attempts bigint not null default 0,     -- claims that were not given back
  lease_token text,                        -- fences late workers
  lease_until bigint,
  -- At the provider.
  endpoint text,
  fal_key_index bigint,
  fal_body text,                           -- as it was sent; emptied with the prompt
  submitted_at bigint,
  fal_request_id text,
  fal_status_url text,
  fal_response_url text,
  fal_cancel_url text,
  -- How it ends.
  failure_reason text check (failure_reason in ('content_refused', 'bad_input', 'provider_failed',
    'timed_out', 'outcome_unknown', 'hold_expired')),
  failure_detail text,
  cost_micro_usd bigint check (cost_micro_usd >= 0),
  result_file text,                        -- null again once the file is gone
  result_content_type text,
  result_size_bytes bigint,
  result_width bigint,
  result_height bigint,
  ended_at bigint,
  -- How the end is told.
  end_number bigint,                      -- of the user, from 1, without gaps
  lent_until bigint,
  acked_at bigint,
  forgotten bigint not null default 0,    -- 1 once prompt, body and picture are gone
  primary key (user_id, operation_id),
  unique (user_id, end_number),
  check ((state in ('succeeded', 'failed')) = (end_number is not null))
);

create index jobs_open on jobs (run_at) where state not in ('succeeded', 'failed');
create index jobs_to_tell on jobs (user_id, end_number) where end_number is not null and acked_at is null;
create index jobs_to_forget on jobs (acked_at) where acked_at is not null and forgotten = 0;
