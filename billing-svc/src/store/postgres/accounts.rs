//! `accounts` and `profiles` on PostgreSQL.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use crate::domain::{Account, Profile, Timestamp, UserId};
use crate::store::{AccountView, Accounts, Answer, rows};

fn read(row: &PgRow) -> Answer<Account> {
    rows::account!(row)
}

fn numbers(users: &[UserId]) -> Vec<i64> {
    users.iter().map(|user| user.get()).collect()
}

impl Accounts for PostgresStore {
    async fn lock_accounts(&self, tx: &mut Self::Tx, users: &[UserId]) -> Answer<Vec<Account>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::account_columns!(),
            " from accounts a
              where a.user_id = any($1)
              order by a.user_id
              for update"
        ))
        .bind(numbers(users))
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn insert_accounts(&self, tx: &mut Self::Tx, accounts: &[&Account]) -> Answer<()> {
        let column = |of: fn(&Account) -> i64| accounts.iter().map(|a| of(a)).collect::<Vec<_>>();
        sqlx::query(
            "insert into accounts
                 (user_id, balance_kopecks, held_kopecks, free_operations, held_free_operations,
                  reversed_kopecks, redemptions_until, last_entry_number, last_event_number,
                  created_at)
             select *
             from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                  $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])",
        )
        .bind(column(|a| a.user.get()))
        .bind(column(|a| a.balance.get()))
        .bind(column(|a| a.held.get()))
        .bind(column(|a| a.free_operations))
        .bind(column(|a| a.held_free_operations))
        .bind(column(|a| a.reversed_kopecks))
        .bind(column(|a| a.redemptions_until.as_micros()))
        .bind(column(|a| a.last_entry))
        .bind(column(|a| a.last_event))
        .bind(column(|a| a.created_at.as_micros()))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn profiles(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
    ) -> Answer<Vec<(UserId, Profile)>> {
        let rows = sqlx::query(
            "select user_id, language, receipt_email
             from profiles
             where user_id = any($1)",
        )
        .bind(numbers(users))
        .fetch_all(&mut **tx)
        .await?;
        let read = |row: &PgRow| Ok((rows::user(row.try_get("user_id")?)?, profile(row)?));
        rows.iter().map(read).collect()
    }

    async fn put_profiles(&self, tx: &mut Self::Tx, profiles: &[(UserId, &Profile)]) -> Answer<()> {
        sqlx::query(
            "insert into profiles (user_id, language, receipt_email)
             select *
             from unnest($1::bigint[], $2::text[], $3::text[])
             on conflict (user_id) do update
             set language = excluded.language,
                 receipt_email = excluded.receipt_email",
        )
        .bind(profiles.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
        .bind(profiles.iter().map(|(_, p)| p.language.clone()).collect::<Vec<_>>())
        .bind(profiles.iter().map(|(_, p)| p.receipt_email.clone()).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn account(&self, user: UserId, now: Timestamp) -> Answer<Option<AccountView>> {
        let row = sqlx::query(concat!(
            "select ",
            rows::account_columns!(),
            ", p.language, p.receipt_email,
               exists (
                   select 1
                   from holds h
                   where h.user_id = $1
                     and h.expires_at <= $2
               ) as is_overdue
             from accounts a
             left join profiles p on p.user_id = a.user_id
             where a.user_id = $1"
        ))
        .bind(user.get())
        .bind(now.as_micros())
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            Ok(AccountView {
                account: read(&row)?,
                profile: profile(&row)?,
                is_overdue: row.try_get("is_overdue")?,
            })
        })
        .transpose()
    }
}

fn profile(row: &PgRow) -> Answer<Profile> {
    Ok(Profile { language: row.try_get("language")?, receipt_email: row.try_get("receipt_email")? })
}
