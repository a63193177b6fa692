-- Operators find a user by the address of the receipts, as it is written in the profile.
create index profiles_receipt_email
    on profiles (lower(receipt_email))
    where receipt_email is not null;
