-- Updates of Telegram, from the moment they are received. Telegram is told that it may forget an
-- update only after its row is here.
create table inbox (
    update_id bigint primary key not null,
    -- Updates of one chat are handled in order; 0 where there is no chat.
    chat_id bigint not null,
    -- As Telegram sent it; emptied when it has been handled.
    body text not null,
    received_ms bigint not null,
    -- How often handling began and did not end in good order, so that an update that kills the
    -- process is given up.
    attempts bigint not null default 0,
    -- 0 until it is struck off. Handled rows stay for a while: a repeated update meets them.
    handled_ms bigint not null default 0
);
create index inbox_waiting on inbox (received_ms, update_id) where handled_ms = 0;
create index inbox_handled on inbox (handled_ms) where handled_ms > 0;

-- What we wait an answer to, per chat.
create table dialogues (
    chat_id bigint primary key not null,
    version bigint not null,
    state text not null,
    updated_ms bigint not null
);

-- Purchases: each operation whose work was, or is to be, submitted.
create table jobs (
    operation_id text primary key not null,
    user_id bigint not null,
    chat_id bigint not null,
    mode text not null,
    -- What paid: `free_operation` or `balance`.
    source text not null check (source in ('free_operation', 'balance')),
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
create index jobs_waiting on jobs (next_try_ms) where state in ('submitting', 'refunding');
create index jobs_created on jobs (created_ms);

-- What users were told of what can be handed to us twice: events and results.
create table told (
    what text primary key not null,
    told_ms bigint not null
);
create index told_time on told (told_ms);

-- Payment links that were sent, to take the buttons away once paid.
create table top_ups (
    top_up_id text primary key not null,
    chat_id bigint not null,
    message_id bigint not null,
    created_ms bigint not null
);
create index top_ups_created on top_ups (created_ms);
