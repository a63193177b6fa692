-- PostgreSQL is told to leave room on its pages. SQLite changes rows in place.
select 1;
