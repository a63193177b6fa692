-- What the list said before a discount, and which promo code lowered it or gave free access.
-- What a person gave back of a committed operation in parts; when the parts reach the price, the
-- operation is refunded.
alter table operation_records
    add column list_price_kopecks bigint not null default 1,
    add column promo_code text,
    add column refunded_in_parts_kopecks bigint not null default 0,
    drop constraint operation_records_source_check,
    add check (source in ('free_operation', 'balance', 'free_access')),
    add check (refunded_in_parts_kopecks between 0 and price_kopecks),
    add check (refunded_in_parts_kopecks = 0 or source = 'balance');

update operation_records set list_price_kopecks = price_kopecks;

alter table operation_records
    alter column list_price_kopecks drop default,
    add check (list_price_kopecks between price_kopecks and 1000000000);
