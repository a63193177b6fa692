//! `top_ups` and `payment_claims` on SQLite.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::SqliteStore;
use crate::domain::{
    IdempotencyKey, PaymentId, Provider, ProviderRefundId, Timestamp, TopUp, TopUpId, UserId,
};
use crate::store::{Answer, Claim, OpenTopUps, Reversal, Reversals, SettledTopUps, TopUps, rows};

fn read(row: &SqliteRow) -> Answer<TopUp> {
    rows::top_up!(row)
}

fn reversal(row: &SqliteRow) -> Answer<Reversal> {
    rows::reversal!(row)
}

/// Reads top-ups by id; those that are not there are left out.
pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    ids: &[(UserId, TopUpId)],
) -> Answer<Vec<TopUp>> {
    let mut found = Vec::with_capacity(ids.len());
    for (user, id) in ids {
        let row = sqlx::query(concat!(
            "select ",
            rows::top_up_columns!(),
            " from top_ups t
              where t.user_id = $1
                and t.id = $2"
        ))
        .bind(user.get())
        .bind(id.as_uuid())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

impl TopUps for SqliteStore {
    async fn top_ups_by_id(
        &self,
        tx: &mut Self::Tx,
        ids: &[(UserId, TopUpId)],
    ) -> Answer<Vec<TopUp>> {
        by_id(tx, ids).await
    }

    async fn top_ups_by_key(
        &self,
        tx: &mut Self::Tx,
        keys: &[(UserId, IdempotencyKey)],
    ) -> Answer<Vec<TopUp>> {
        let mut found = Vec::new();
        for (user, key) in keys {
            let row = sqlx::query(concat!(
                "select ",
                rows::top_up_columns!(),
                " from top_ups t
                  where t.user_id = $1
                    and t.idempotency_key = $2"
            ))
            .bind(user.get())
            .bind(key.as_str())
            .fetch_optional(&mut **tx)
            .await?;
            if let Some(row) = row {
                found.push(read(&row)?);
            }
        }
        Ok(found)
    }

    async fn insert_top_ups(&self, tx: &mut Self::Tx, top_ups: &[&TopUp]) -> Answer<()> {
        for top_up in top_ups {
            sqlx::query(
                "insert into top_ups
                     (user_id, id, provider, state, paid_minor_units, paid_currency,
                      credited_kopecks, idempotency_key, snapshot, provider_payment_id,
                      confirmation_url, cancel_reason, created_at, ended_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(top_up.user.get())
            .bind(top_up.id.as_uuid())
            .bind(top_up.provider.as_str())
            .bind(top_up.state.as_str())
            .bind(top_up.paid.minor_units)
            .bind(top_up.paid.currency.as_str())
            .bind(top_up.credited.get())
            .bind(top_up.key.as_str())
            .bind(top_up.snapshot.as_slice())
            .bind(top_up.payment.as_ref().map(PaymentId::as_str))
            .bind(top_up.confirmation_url.as_str())
            .bind(top_up.cancel_reason.as_deref())
            .bind(top_up.created_at.as_micros())
            .bind(top_up.ended_at.map(Timestamp::as_micros))
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn update_top_ups(&self, tx: &mut Self::Tx, top_ups: &[&TopUp]) -> Answer<()> {
        for top_up in top_ups {
            let done = sqlx::query(
                "update top_ups
                 set state = $3,
                     provider_payment_id = $4,
                     confirmation_url = $5,
                     cancel_reason = $6,
                     ended_at = $7,
                     bonus_kopecks = $8,
                     refunded_minor_units = $9,
                     reversed_kopecks = $10,
                     reversed_bonus_kopecks = $11
                 where user_id = $1
                   and id = $2",
            )
            .bind(top_up.user.get())
            .bind(top_up.id.as_uuid())
            .bind(top_up.state.as_str())
            .bind(top_up.payment.as_ref().map(PaymentId::as_str))
            .bind(top_up.confirmation_url.as_str())
            .bind(top_up.cancel_reason.as_deref())
            .bind(top_up.ended_at.map(Timestamp::as_micros))
            .bind(top_up.bonus_kopecks)
            .bind(top_up.refunded_minor_units)
            .bind(top_up.reversed_kopecks)
            .bind(top_up.reversed_bonus_kopecks)
            .execute(&mut **tx)
            .await?;
            crate::store::StoreError::expect_rows(1, done.rows_affected())?;
        }
        Ok(())
    }

    async fn claims(
        &self,
        tx: &mut Self::Tx,
        payments: &[(Provider, PaymentId)],
    ) -> Answer<Vec<Claim>> {
        let mut found = Vec::new();
        for (provider, payment) in payments {
            let row = sqlx::query(
                "select user_id, top_up_id, claimed_at
                 from payment_claims
                 where provider = $1
                   and payment_id = $2",
            )
            .bind(provider.as_str())
            .bind(payment.as_str())
            .fetch_optional(&mut **tx)
            .await?;
            if let Some(row) = row {
                found.push(Claim {
                    provider: provider.clone(),
                    payment: payment.clone(),
                    user: rows::user(row.try_get("user_id")?)?,
                    top_up: TopUpId::stored(row.try_get("top_up_id")?),
                    at: Timestamp::from_micros(row.try_get("claimed_at")?),
                });
            }
        }
        Ok(found)
    }

    async fn insert_claims(&self, tx: &mut Self::Tx, claims: &[&Claim]) -> Answer<()> {
        for claim in claims {
            sqlx::query(
                "insert into payment_claims
                     (provider, payment_id, user_id, top_up_id, claimed_at)
                 values ($1, $2, $3, $4, $5)",
            )
            .bind(claim.provider.as_str())
            .bind(claim.payment.as_str())
            .bind(claim.user.get())
            .bind(claim.top_up.as_uuid())
            .bind(claim.at.as_micros())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn reversals(
        &self,
        tx: &mut Self::Tx,
        refunds: &[(UserId, Provider, ProviderRefundId)],
    ) -> Answer<Vec<Reversal>> {
        let mut found = Vec::new();
        for (user, provider, refund) in refunds {
            let row = sqlx::query(concat!(
                "select ",
                rows::reversal_columns!(),
                " from reversals v
                  where v.user_id = $1
                    and v.provider = $2
                    and v.refund_id = $3"
            ))
            .bind(user.get())
            .bind(provider.as_str())
            .bind(refund.as_str())
            .fetch_optional(&mut **tx)
            .await?;
            if let Some(row) = row {
                found.push(reversal(&row)?);
            }
        }
        Ok(found)
    }

    async fn insert_reversals(&self, tx: &mut Self::Tx, reversals: &[&Reversal]) -> Answer<()> {
        for reversal in reversals {
            sqlx::query(
                "insert into reversals
                     (user_id, provider, refund_id, top_up_id, refunded_minor_units,
                      refunded_currency, reversed_kopecks, reversed_bonus_kopecks, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(reversal.user.get())
            .bind(reversal.provider.as_str())
            .bind(reversal.refund.as_str())
            .bind(reversal.top_up.as_uuid())
            .bind(reversal.refunded.minor_units)
            .bind(reversal.refunded.currency.as_str())
            .bind(reversal.share.credit_kopecks)
            .bind(reversal.share.bonus_kopecks)
            .bind(reversal.at.as_micros())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn top_up(&self, user: UserId, id: TopUpId) -> Answer<Option<TopUp>> {
        let mut connection = self.reader.acquire().await?;
        Ok(by_id(&mut connection, &[(user, id)]).await?.pop())
    }

    async fn open_top_ups(&self, page: &OpenTopUps) -> Answer<Vec<TopUp>> {
        let after = page.after.map(|place| (place.at.as_micros(), place.id.as_uuid()));
        let rows = sqlx::query(concat!(
            "select ",
            rows::top_up_columns!(),
            " from top_ups t
              where t.provider = $1
                and t.state = 'open'
                and t.created_at < $2
                and (t.created_at, t.id) > ($3, $4)
              order by t.created_at, t.id
              limit $5"
        ))
        .bind(page.provider.as_str())
        .bind(page.opened_before.as_micros())
        .bind(after.map_or(i64::MIN, |(created_at, _)| created_at))
        .bind(after.map_or_else(uuid::Uuid::nil, |(_, id)| id))
        .bind(page.limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn settled_top_ups(&self, page: &SettledTopUps) -> Answer<Vec<TopUp>> {
        let after = page.after.map(|place| (place.at.as_micros(), place.id.as_uuid()));
        let rows = sqlx::query(concat!(
            "select ",
            rows::top_up_columns!(),
            " from top_ups t
              where t.provider = $1
                and t.state = 'settled'
                and t.ended_at >= $2
                and t.ended_at < $3
                and (t.ended_at, t.id) > ($4, $5)
              order by t.ended_at, t.id
              limit $6"
        ))
        .bind(page.provider.as_str())
        .bind(page.from.as_micros())
        .bind(page.to.as_micros())
        .bind(after.map_or(i64::MIN, |(ended_at, _)| ended_at))
        .bind(after.map_or_else(uuid::Uuid::nil, |(_, id)| id))
        .bind(page.limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn reversals_page(&self, page: &Reversals) -> Answer<Vec<Reversal>> {
        let after = page.after.as_ref();
        let rows = sqlx::query(concat!(
            "select ",
            rows::reversal_columns!(),
            " from reversals v
              where v.provider = $1
                and v.created_at >= $2
                and v.created_at < $3
                and (v.created_at, v.user_id, v.refund_id) > ($4, $5, $6)
              order by v.created_at, v.user_id, v.refund_id
              limit $7"
        ))
        .bind(page.provider.as_str())
        .bind(page.from.as_micros())
        .bind(page.to.as_micros())
        .bind(after.map_or(i64::MIN, |place| place.at.as_micros()))
        .bind(after.map_or(0, |place| place.user.get()))
        .bind(after.map_or("", |place| place.refund.as_str()))
        .bind(page.limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(reversal).collect()
    }
}
