//! `profiles` and `payment_claims` on PostgreSQL, searched for a user.

use super::PostgresStore;
use crate::domain::{PaymentId, Provider, UserId};
use crate::store::{Answer, Search, rows};

impl Search for PostgresStore {
    async fn users_by_email(&self, email: &str, limit: i64) -> Answer<Vec<UserId>> {
        let users: Vec<i64> = sqlx::query_scalar(
            "select p.user_id
             from profiles p
             where lower(p.receipt_email) = lower($1)
               and p.receipt_email is not null
             order by p.user_id
             limit $2",
        )
        .bind(email)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        users.into_iter().map(rows::user).collect()
    }

    async fn user_by_payment(
        &self,
        provider: &Provider,
        payment: &PaymentId,
    ) -> Answer<Option<UserId>> {
        let user: Option<i64> = sqlx::query_scalar(
            "select c.user_id
             from payment_claims c
             where c.provider = $1
               and c.payment_id = $2",
        )
        .bind(provider.as_str())
        .bind(payment.as_str())
        .fetch_optional(&self.reader)
        .await?;
        user.map(rows::user).transpose()
    }
}
