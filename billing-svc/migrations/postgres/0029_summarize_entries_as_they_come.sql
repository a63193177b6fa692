-- Pages that the index by time does not know yet are read by every statistic. Autovacuum comes by
-- once in a fifth of the table; this way it is asked as soon as a stretch of pages is full. An index
-- of each part needs the same, when the table is divided.
alter index entries_created_at set (autosummarize = on);
