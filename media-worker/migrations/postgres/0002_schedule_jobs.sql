-- Whose turn it is, the places at the provider, takeovers, cancelling, and how refusals are settled.
alter table jobs drop constraint jobs_state_check;
alter table jobs add constraint jobs_state_check check (state in (
  'queued', 'submitting', 'submitted', 'committing', 'charging', 'refunding', 'succeeded', 'failed'));
alter table jobs drop constraint jobs_failure_reason_check;
alter table jobs add constraint jobs_failure_reason_check check (failure_reason in ('content_refused',
  'bad_input', 'no_face', 'provider_failed', 'overloaded', 'provider_locked', 'timed_out',
  'outcome_unknown', 'hold_expired', 'cancelled'));

-- Users take turns: of the jobs that wait, the one with the lowest turn is next.
alter table jobs add column turn bigint not null default 0;
-- One of the FAL_MAX_CONCURRENT places of its key, for as long as the provider may be at work on it.
alter table jobs add column place bigint check (place >= 0);
-- Endpoints that failed it and will not be asked again for it: a JSON list.
alter table jobs add column endpoints_failed text not null default '[]';
-- Until when the place is kept after an end that the provider may not know of.
alter table jobs add column place_until bigint;
-- When the user asked for the end.
alter table jobs add column cancel_asked_at bigint;
-- 1: failed, and the operation was committed all the same.
alter table jobs add column charged bigint not null default 0;
-- After a refusal: how many were still to be given back that day.
alter table jobs add column refusals_left bigint;

create unique index jobs_places on jobs (fal_key_index, place) where place is not null;
create index jobs_waiting on jobs (turn, created_at, user_id, run_at) where state = 'queued';
create index jobs_open_of_user on jobs (user_id, turn) where state not in ('succeeded', 'failed');

-- Refusals of content that were given back, of one user on one day (Moscow's, as YYYY-MM-DD).
create table refusals (
  user_id bigint not null check (user_id > 0),
  day text not null,
  given_back bigint not null check (given_back >= 0),
  primary key (user_id, day)
);

-- One row. Whoever begins a job locks it first, so that places and users' shares are counted exactly.
create table queue (
  id bigint primary key check (id = 1),
  begun_turn bigint not null                  -- of the job begun last: newcomers join here
);

insert into queue (id, begun_turn) values (1, 0);
