-- The name that operators know. A user's id is the Telegram id.
create view users as
select
    a.user_id as id,
    a.user_id as telegram_id,
    a.free_operations as free_operations_left,
    p.language,
    timestamptz 'epoch' + a.created_at * interval '1 microsecond' as created_at
from accounts a
left join profiles p on p.user_id = a.user_id;
