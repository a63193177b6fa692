-- What a promo code added to the credit, what the provider has paid back, and what that has taken
-- back of the credit and of the bonus.
alter table top_ups
    add column bonus_kopecks bigint not null default 0
        check (bonus_kopecks between 0 and 1000000000);
alter table top_ups
    add column refunded_minor_units bigint not null default 0
        check (refunded_minor_units between 0 and paid_minor_units);
alter table top_ups
    add column reversed_kopecks bigint not null default 0
        check (reversed_kopecks between 0 and credited_kopecks);
alter table top_ups
    add column reversed_bonus_kopecks bigint not null default 0
        check (reversed_bonus_kopecks between 0 and bonus_kopecks);
