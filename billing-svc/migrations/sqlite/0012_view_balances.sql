-- The name that operators know. Amounts are exact roubles.
create view balances as
select
    a.user_id,
    iif(a.balance_kopecks < 0, '-', '') || printf('%d.%02d', abs(a.balance_kopecks) / 100, abs(a.balance_kopecks) % 100) as balance,
    iif(a.held_kopecks < 0, '-', '') || printf('%d.%02d', abs(a.held_kopecks) / 100, abs(a.held_kopecks) % 100) as held
from accounts a;
