-- The name that operators know. A user's id is the Telegram id.
create view users as
select
    a.user_id as id,
    a.user_id as telegram_id,
    a.free_operations as free_operations_left,
    p.language,
    strftime('%Y-%m-%d %H:%M:%f', a.created_at / 1000000.0, 'unixepoch') as created_at
from accounts a
left join profiles p on p.user_id = a.user_id;
