-- What is known of a person, apart from the money, so that it can be erased.
create table profiles (
    user_id bigint not null primary key check (user_id > 0),
    language text,
    receipt_email text
);
