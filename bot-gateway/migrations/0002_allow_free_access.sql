-- An operation may also be paid for by free access until a date. A check is changed by a new
-- table, which both engines can do.
drop index jobs_waiting;
drop index jobs_created;
alter table jobs rename to jobs_before;

create table jobs (
    operation_id text primary key not null,
    user_id bigint not null,
    chat_id bigint not null,
    mode text not null,
    -- What paid.
    source text not null check (source in ('free_operation', 'balance', 'free_access')),
    price_kopecks bigint not null,
    -- The message that shows how it goes on; 0 if it could not be sent.
    status_message_id bigint not null,
    -- submitting: SubmitJob is not answered yet. refunding: refused, and Refund is not answered
    -- yet. submitted: media-worker has it. ended: the user was told how it ended.
    state text not null check (state in ('submitting', 'refunding', 'submitted', 'ended')),
    -- Prompt and inputs, until SubmitJob is answered: a repeat must be the same request.
    request text not null,
    -- Why SubmitJob was refused.
    refusal text not null default '',
    attempts bigint not null default 0,
    -- When to send SubmitJob or Refund again.
    next_try_ms bigint not null,
    created_ms bigint not null
);
insert into jobs
    (operation_id, user_id, chat_id, mode, source, price_kopecks, status_message_id, state,
     request, refusal, attempts, next_try_ms, created_ms)
select operation_id, user_id, chat_id, mode, source, price_kopecks, status_message_id, state,
       request, refusal, attempts, next_try_ms, created_ms
from jobs_before;
drop table jobs_before;
create index jobs_waiting on jobs (next_try_ms) where state in ('submitting', 'refunding');
create index jobs_created on jobs (created_ms);
