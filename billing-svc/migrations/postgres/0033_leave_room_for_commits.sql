-- Nearly every operation is changed exactly once, when it ends. With room for that on its page, no
-- index is written; what the old version took is free again soon after.
alter table operation_records set (fillfactor = 60);
