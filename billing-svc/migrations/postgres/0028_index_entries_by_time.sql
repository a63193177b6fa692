-- Statistics read the entries of some days over all users. Entries arrive in order of time, so a
-- handful of kilobytes tells in which part of the table those days lie; an ordinary index would be
-- as large as the ledger's own key, and cost every decision a write. Each part of a table that is
-- divided needs its own.
create index entries_created_at
    on entries using brin (created_at);
