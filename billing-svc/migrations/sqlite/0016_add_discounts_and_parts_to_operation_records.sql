-- What the list said before a discount, and which promo code lowered it or gave free access.
-- What a person gave back of a committed operation in parts; when the parts reach the price, the
-- operation is refunded. SQLite changes a check only by a new table.
drop view operations;
drop index operation_records_living;

create table operation_records_new (
    user_id integer not null check (user_id > 0),
    id blob not null,
    -- Number of the entry that reserved it: orders a user's operations, which times cannot.
    number integer not null check (number > 0),
    operation_type text not null,
    model text not null,
    state text not null check (state in ('reserved', 'committed', 'refunded', 'expired')),
    source text not null check (source in ('free_operation', 'balance', 'free_access')),
    price_kopecks integer not null check (price_kopecks between 1 and 1000000000),
    idempotency_key text not null,
    created_at integer not null,
    expires_at integer not null,
    ended_at integer,
    refund_reason text,
    refund_actor text,
    -- A late commit was refused, which ended it: its repeats get the same answer.
    commit_refused integer not null,
    cost_micro_usd integer check (cost_micro_usd between 0 and 1000000000000),
    -- JSON of texts. May be erased.
    metadata text not null,
    list_price_kopecks integer not null
        check (list_price_kopecks between price_kopecks and 1000000000),
    promo_code text,
    refunded_in_parts_kopecks integer not null default 0
        check (refunded_in_parts_kopecks between 0 and price_kopecks),
    primary key (user_id, id),
    unique (user_id, idempotency_key),
    unique (user_id, number),
    check ((state = 'reserved') = (ended_at is null)),
    check ((state = 'refunded') = (refund_reason is not null)),
    check (refund_actor is null or state = 'refunded'),
    check (cost_micro_usd is null or state in ('committed', 'refunded')),
    check (expires_at > created_at and expires_at <= created_at + 86400000000),
    check (not commit_refused or state = 'refunded'),
    check (refunded_in_parts_kopecks = 0 or source = 'balance')
) strict;

insert into operation_records_new
    (user_id, id, number, operation_type, model, state, source, price_kopecks, idempotency_key,
     created_at, expires_at, ended_at, refund_reason, refund_actor, commit_refused,
     cost_micro_usd, metadata, list_price_kopecks)
select user_id, id, number, operation_type, model, state, source, price_kopecks, idempotency_key,
       created_at, expires_at, ended_at, refund_reason, refund_actor, commit_refused,
       cost_micro_usd, metadata, price_kopecks
from operation_records;

drop table operation_records;
alter table operation_records_new rename to operation_records;

create index operation_records_living
    on operation_records (user_id, expires_at)
    where state = 'reserved';

create view operations as
select
    o.user_id,
    o.number,
    lower(substr(hex(o.id), 1, 8) || '-' || substr(hex(o.id), 9, 4) || '-'
        || substr(hex(o.id), 13, 4) || '-' || substr(hex(o.id), 17, 4) || '-'
        || substr(hex(o.id), 21)) as id,
    o.operation_type,
    o.model,
    o.state,
    o.source,
    printf('%d.%02d', o.price_kopecks / 100, o.price_kopecks % 100) as price,
    strftime('%Y-%m-%d %H:%M:%f', o.created_at / 1000000.0, 'unixepoch') as created_at,
    strftime('%Y-%m-%d %H:%M:%f', o.expires_at / 1000000.0, 'unixepoch') as expires_at,
    strftime('%Y-%m-%d %H:%M:%f', o.ended_at / 1000000.0, 'unixepoch') as ended_at,
    o.refund_reason,
    o.refund_actor,
    o.idempotency_key
from operation_records o;
