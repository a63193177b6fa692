-- Until when any promo code that the user has redeemed may have effect; 0 if none has. So that a
-- decision about an account without one, which is nearly all of them, asks for none.
alter table accounts
    add column redemptions_until integer not null default 0;
