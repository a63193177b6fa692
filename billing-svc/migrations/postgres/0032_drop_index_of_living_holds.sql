-- Holds have their own table now. With the state in its condition, this index had every commit
-- write a new row into all indexes.
drop index operation_records_living;
