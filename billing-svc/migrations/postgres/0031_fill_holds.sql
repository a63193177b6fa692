-- What lives already.
insert into holds (user_id, expires_at, operation_id)
select o.user_id, o.expires_at, o.id
from operation_records o
where o.state = 'reserved';
