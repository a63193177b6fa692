//! `accounts` and `profiles` on SQLite.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::many::{self, Around};
use crate::domain::{Account, Profile, Timestamp, UserId};
use crate::store::{AccountView, Accounts, Answer, rows};

fn read(row: &SqliteRow) -> Answer<Account> {
    rows::account!(row)
}

impl Accounts for SqliteStore {
    async fn lock_accounts(&self, tx: &mut Self::Tx, users: &[UserId]) -> Answer<Vec<Account>> {
        let around = Around {
            before: concat!("select ", rows::account_columns!(), " from ("),
            after: ") as r
                    cross join accounts a on a.user_id = r.column1",
        };
        let bind = |row: &mut many::Row<'_>, user: &UserId| {
            row.push_bind(user.get());
        };
        many::read(tx, around, users, (bind, read)).await
    }

    async fn insert_accounts(&self, tx: &mut Self::Tx, accounts: &[&Account]) -> Answer<()> {
        for account in accounts {
            sqlx::query(
                "insert into accounts
                     (user_id, balance_kopecks, held_kopecks, free_operations,
                      held_free_operations, reversed_kopecks, redemptions_until,
                      last_entry_number, last_event_number, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(account.user.get())
            .bind(account.balance.get())
            .bind(account.held.get())
            .bind(account.free_operations)
            .bind(account.held_free_operations)
            .bind(account.reversed_kopecks)
            .bind(account.redemptions_until.as_micros())
            .bind(account.last_entry)
            .bind(account.last_event)
            .bind(account.created_at.as_micros())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn profiles(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
    ) -> Answer<Vec<(UserId, Profile)>> {
        let mut found = Vec::new();
        for &user in users {
            let row = sqlx::query(
                "select language, receipt_email
                 from profiles
                 where user_id = $1",
            )
            .bind(user.get())
            .fetch_optional(&mut **tx)
            .await?;
            if let Some(row) = row {
                found.push((user, profile(&row)?));
            }
        }
        Ok(found)
    }

    async fn put_profiles(&self, tx: &mut Self::Tx, profiles: &[(UserId, &Profile)]) -> Answer<()> {
        for (user, profile) in profiles {
            sqlx::query(
                "insert into profiles (user_id, language, receipt_email)
                 values ($1, $2, $3)
                 on conflict (user_id) do update
                 set language = excluded.language,
                     receipt_email = excluded.receipt_email",
            )
            .bind(user.get())
            .bind(profile.language.as_deref())
            .bind(profile.receipt_email.as_deref())
            .execute(&mut **tx)
            .await?;
        }
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

fn profile(row: &SqliteRow) -> Answer<Profile> {
    Ok(Profile { language: row.try_get("language")?, receipt_email: row.try_get("receipt_email")? })
}
