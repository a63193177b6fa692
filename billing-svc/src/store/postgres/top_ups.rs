//! `top_ups` and `payment_claims` on PostgreSQL.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::PostgresStore;
use crate::domain::{
    IdempotencyKey, PaymentId, Provider, ProviderRefundId, Timestamp, TopUp, TopUpId, UserId,
};
use crate::store::{
    Answer, Claim, OpenTopUps, Reversal, Reversals, SettledTopUps, StoreError, TopUps, rows,
};

fn read(row: &PgRow) -> Answer<TopUp> {
    rows::top_up!(row)
}

fn reversal(row: &PgRow) -> Answer<Reversal> {
    rows::reversal!(row)
}

/// Reads top-ups by id; those that are not there are left out.
pub(super) async fn by_id(
    connection: &mut PgConnection,
    ids: &[(UserId, TopUpId)],
) -> Answer<Vec<TopUp>> {
    let rows = sqlx::query(concat!(
        "select t.*
         from unnest($1::bigint[], $2::uuid[]) as r (user_id, id)
         cross join lateral (
             select ",
        rows::top_up_columns!(),
        "    from top_ups t
             where t.user_id = r.user_id
               and t.id = r.id
             limit 1
         ) as t"
    ))
    .bind(ids.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
    .bind(ids.iter().map(|(_, id)| id.as_uuid()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

impl TopUps for PostgresStore {
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
        let rows = sqlx::query(concat!(
            "select t.*
             from unnest($1::bigint[], $2::text[]) as r (user_id, idempotency_key)
             cross join lateral (
                 select ",
            rows::top_up_columns!(),
            "    from top_ups t
                 where t.user_id = r.user_id
                   and t.idempotency_key = r.idempotency_key
                 limit 1
             ) as t"
        ))
        .bind(keys.iter().map(|(user, _)| user.get()).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn insert_top_ups(&self, tx: &mut Self::Tx, top_ups: &[&TopUp]) -> Answer<()> {
        let all = || top_ups.iter();
        sqlx::query(
            "insert into top_ups
                 (user_id, id, provider, state, paid_minor_units, paid_currency,
                  credited_kopecks, idempotency_key, snapshot, provider_payment_id,
                  confirmation_url, cancel_reason, created_at, ended_at)
             select *
             from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bigint[],
                  $6::text[], $7::bigint[], $8::text[], $9::bytea[], $10::text[], $11::text[],
                  $12::text[], $13::bigint[], $14::bigint[])",
        )
        .bind(all().map(|t| t.user.get()).collect::<Vec<_>>())
        .bind(all().map(|t| t.id.as_uuid()).collect::<Vec<_>>())
        .bind(all().map(|t| t.provider.as_str()).collect::<Vec<_>>())
        .bind(all().map(|t| t.state.as_str()).collect::<Vec<_>>())
        .bind(all().map(|t| t.paid.minor_units).collect::<Vec<_>>())
        .bind(all().map(|t| t.paid.currency.as_str()).collect::<Vec<_>>())
        .bind(all().map(|t| t.credited.get()).collect::<Vec<_>>())
        .bind(all().map(|t| t.key.as_str()).collect::<Vec<_>>())
        .bind(all().map(|t| t.snapshot.as_slice()).collect::<Vec<_>>())
        .bind(all().map(|t| t.payment.as_ref().map(PaymentId::as_str)).collect::<Vec<_>>())
        .bind(all().map(|t| t.confirmation_url.as_str()).collect::<Vec<_>>())
        .bind(all().map(|t| t.cancel_reason.clone()).collect::<Vec<_>>())
        .bind(all().map(|t| t.created_at.as_micros()).collect::<Vec<_>>())
        .bind(all().map(|t| t.ended_at.map(Timestamp::as_micros)).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn update_top_ups(&self, tx: &mut Self::Tx, top_ups: &[&TopUp]) -> Answer<()> {
        let all = || top_ups.iter();
        let done = sqlx::query(
            "update top_ups t
             set state = r.state,
                 provider_payment_id = r.provider_payment_id,
                 confirmation_url = r.confirmation_url,
                 cancel_reason = r.cancel_reason,
                 ended_at = r.ended_at,
                 bonus_kopecks = r.bonus_kopecks,
                 refunded_minor_units = r.refunded_minor_units,
                 reversed_kopecks = r.reversed_kopecks,
                 reversed_bonus_kopecks = r.reversed_bonus_kopecks
             from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                  $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
                  $11::bigint[])
                 as r (user_id, id, state, provider_payment_id, confirmation_url, cancel_reason,
                       ended_at, bonus_kopecks, refunded_minor_units, reversed_kopecks,
                       reversed_bonus_kopecks)
             where t.user_id = r.user_id
               and t.id = r.id",
        )
        .bind(all().map(|t| t.user.get()).collect::<Vec<_>>())
        .bind(all().map(|t| t.id.as_uuid()).collect::<Vec<_>>())
        .bind(all().map(|t| t.state.as_str()).collect::<Vec<_>>())
        .bind(all().map(|t| t.payment.as_ref().map(PaymentId::as_str)).collect::<Vec<_>>())
        .bind(all().map(|t| t.confirmation_url.as_str()).collect::<Vec<_>>())
        .bind(all().map(|t| t.cancel_reason.clone()).collect::<Vec<_>>())
        .bind(all().map(|t| t.ended_at.map(Timestamp::as_micros)).collect::<Vec<_>>())
        .bind(all().map(|t| t.bonus_kopecks).collect::<Vec<_>>())
        .bind(all().map(|t| t.refunded_minor_units).collect::<Vec<_>>())
        .bind(all().map(|t| t.reversed_kopecks).collect::<Vec<_>>())
        .bind(all().map(|t| t.reversed_bonus_kopecks).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        StoreError::expect_rows(top_ups.len(), done.rows_affected())
    }

    async fn claims(
        &self,
        tx: &mut Self::Tx,
        payments: &[(Provider, PaymentId)],
    ) -> Answer<Vec<Claim>> {
        let rows = sqlx::query(
            "select c.provider, c.payment_id, c.user_id, c.top_up_id, c.claimed_at
             from unnest($1::text[], $2::text[]) as r (provider, payment_id)
             join payment_claims c on c.provider = r.provider and c.payment_id = r.payment_id",
        )
        .bind(payments.iter().map(|(provider, _)| provider.as_str()).collect::<Vec<_>>())
        .bind(payments.iter().map(|(_, payment)| payment.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(claim).collect()
    }

    async fn insert_claims(&self, tx: &mut Self::Tx, claims: &[&Claim]) -> Answer<()> {
        sqlx::query(
            "insert into payment_claims (provider, payment_id, user_id, top_up_id, claimed_at)
             select *
             from unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[], $5::bigint[])",
        )
        .bind(claims.iter().map(|c| c.provider.as_str()).collect::<Vec<_>>())
        .bind(claims.iter().map(|c| c.payment.as_str()).collect::<Vec<_>>())
        .bind(claims.iter().map(|c| c.user.get()).collect::<Vec<_>>())
        .bind(claims.iter().map(|c| c.top_up.as_uuid()).collect::<Vec<_>>())
        .bind(claims.iter().map(|c| c.at.as_micros()).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn reversals(
        &self,
        tx: &mut Self::Tx,
        refunds: &[(UserId, Provider, ProviderRefundId)],
    ) -> Answer<Vec<Reversal>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::reversal_columns!(),
            " from unnest($1::bigint[], $2::text[], $3::text[]) as r (user_id, provider, refund_id)
              join reversals v
                  on v.user_id = r.user_id
                 and v.provider = r.provider
                 and v.refund_id = r.refund_id"
        ))
        .bind(refunds.iter().map(|(user, ..)| user.get()).collect::<Vec<_>>())
        .bind(refunds.iter().map(|(_, provider, _)| provider.as_str()).collect::<Vec<_>>())
        .bind(refunds.iter().map(|(.., refund)| refund.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(reversal).collect()
    }

    async fn insert_reversals(&self, tx: &mut Self::Tx, reversals: &[&Reversal]) -> Answer<()> {
        let all = || reversals.iter();
        sqlx::query(
            "insert into reversals
                 (user_id, provider, refund_id, top_up_id, refunded_minor_units,
                  refunded_currency, reversed_kopecks, reversed_bonus_kopecks, created_at)
             select *
             from unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[],
                  $6::text[], $7::bigint[], $8::bigint[], $9::bigint[])",
        )
        .bind(all().map(|v| v.user.get()).collect::<Vec<_>>())
        .bind(all().map(|v| v.provider.as_str()).collect::<Vec<_>>())
        .bind(all().map(|v| v.refund.as_str()).collect::<Vec<_>>())
        .bind(all().map(|v| v.top_up.as_uuid()).collect::<Vec<_>>())
        .bind(all().map(|v| v.refunded.minor_units).collect::<Vec<_>>())
        .bind(all().map(|v| v.refunded.currency.as_str()).collect::<Vec<_>>())
        .bind(all().map(|v| v.share.credit_kopecks).collect::<Vec<_>>())
        .bind(all().map(|v| v.share.bonus_kopecks).collect::<Vec<_>>())
        .bind(all().map(|v| v.at.as_micros()).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn top_up(&self, user: UserId, id: TopUpId) -> Answer<Option<TopUp>> {
        let row = sqlx::query(concat!(
            "select ",
            rows::top_up_columns!(),
            " from top_ups t
              where t.user_id = $1
                and t.id = $2"
        ))
        .bind(user.get())
        .bind(id.as_uuid())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(read).transpose()
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

fn claim(row: &PgRow) -> Answer<Claim> {
    let provider: String = row.try_get("provider")?;
    let payment: String = row.try_get("payment_id")?;
    Ok(Claim {
        provider: rows::provider(&provider)?,
        payment: PaymentId::new(&payment).ok_or(StoreError::Unreadable("payment id"))?,
        user: rows::user(row.try_get("user_id")?)?,
        top_up: TopUpId::stored(row.try_get("top_up_id")?),
        at: Timestamp::from_micros(row.try_get("claimed_at")?),
    })
}
