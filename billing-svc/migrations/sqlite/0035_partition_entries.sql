-- PostgreSQL has this table in parts. One file is one part.
select 1;
