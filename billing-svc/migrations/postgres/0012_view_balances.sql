-- The name that operators know. Amounts are exact roubles.
create view balances as
select
    a.user_id,
    (a.balance_kopecks / 100.0)::numeric(20, 2) as balance,
    (a.held_kopecks / 100.0)::numeric(20, 2) as held
from accounts a;
