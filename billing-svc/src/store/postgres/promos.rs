//! `promo_codes` and `redemptions` on PostgreSQL.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use crate::domain::{
    IdempotencyKey, PromoCode, PromoCodeName, Redemption, Signature, Timestamp, UserId,
};
use crate::store::{Answer, Promos, StoreError, rows};

fn read_code(row: &PgRow) -> Answer<PromoCode> {
    rows::promo_code!(row)
}

fn read(row: &PgRow) -> Answer<Redemption> {
    rows::redemption!(row)
}

impl Promos for PostgresStore {
    async fn lock_promo_codes(
        &self,
        tx: &mut Self::Tx,
        names: &[PromoCodeName],
    ) -> Answer<Vec<PromoCode>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::promo_code_columns!(),
            " from promo_codes p
              where p.code = any($1)
              order by p.code
              for update"
        ))
        .bind(names.iter().map(PromoCodeName::as_str).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read_code).collect()
    }

    async fn insert_promo_codes(&self, tx: &mut Self::Tx, codes: &[&PromoCode]) -> Answer<()> {
        for code in codes {
            sqlx::query(
                "insert into promo_codes
                     (code, kind, value, bonus_max_kopecks, effect_until, redemptions_max,
                      redemptions, valid_from, valid_until, created_by, create_reason, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )
            .bind(code.name.as_str())
            .bind(code.effect.kind())
            .bind(code.effect.value())
            .bind(code.effect.bonus_max_kopecks())
            .bind(code.effect.until().as_micros())
            .bind(code.redemptions_max.unwrap_or_default())
            .bind(code.redemptions)
            .bind(code.valid_from.map(Timestamp::as_micros))
            .bind(code.valid_until.map(Timestamp::as_micros))
            .bind(code.created.actor.as_str())
            .bind(code.created.reason.as_str())
            .bind(code.created.at.as_micros())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn update_promo_codes(&self, tx: &mut Self::Tx, codes: &[&PromoCode]) -> Answer<()> {
        for code in codes {
            let stopped = code.stopped.as_ref();
            let done = sqlx::query(
                "update promo_codes
                 set redemptions = $2,
                     stopped_at = $3,
                     stopped_by = $4,
                     stop_reason = $5
                 where code = $1",
            )
            .bind(code.name.as_str())
            .bind(code.redemptions)
            .bind(stopped.map(|s: &Signature| s.at.as_micros()))
            .bind(stopped.map(|s| s.actor.as_str()))
            .bind(stopped.map(|s| s.reason.as_str()))
            .execute(&mut **tx)
            .await?;
            StoreError::expect_rows(1, done.rows_affected())?;
        }
        Ok(())
    }

    async fn promo_codes_page(&self, after: &str, limit: i64) -> Answer<Vec<PromoCode>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::promo_code_columns!(),
            " from promo_codes p
              where p.code collate \"C\" > $1
              order by p.code collate \"C\"
              limit $2"
        ))
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(read_code).collect()
    }

    async fn active_redemptions(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
        now: Timestamp,
    ) -> Answer<Vec<Redemption>> {
        let rows = sqlx::query(concat!(
            "select ",
            rows::redemption_columns!(),
            " from redemptions r
              where r.user_id = any($1)
                and r.used_at is null
                and r.effect_until > $2
              order by r.user_id, r.redeemed_at, r.code"
        ))
        .bind(users.iter().map(|user| user.get()).collect::<Vec<_>>())
        .bind(now.as_micros())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn redemptions(
        &self,
        tx: &mut Self::Tx,
        wanted: &[(UserId, IdempotencyKey, PromoCodeName)],
    ) -> Answer<Vec<Redemption>> {
        let rows = sqlx::query(concat!(
            "select distinct ",
            rows::redemption_columns!(),
            " from unnest($1::bigint[], $2::text[], $3::text[])
                  as w (user_id, idempotency_key, code)
              join redemptions r
                  on r.user_id = w.user_id
                 and (r.idempotency_key = w.idempotency_key or r.code = w.code)"
        ))
        .bind(wanted.iter().map(|(user, ..)| user.get()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(_, key, _)| key.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(.., code)| code.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn insert_redemptions(
        &self,
        tx: &mut Self::Tx,
        redemptions: &[&Redemption],
    ) -> Answer<()> {
        for redemption in redemptions {
            sqlx::query(
                "insert into redemptions
                     (user_id, code, idempotency_key, kind, value, bonus_max_kopecks,
                      effect_until, redeemed_at, used_at, entry_number, top_up_id)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(redemption.user.get())
            .bind(redemption.code.as_str())
            .bind(redemption.key.as_str())
            .bind(redemption.effect.kind())
            .bind(redemption.effect.value())
            .bind(redemption.effect.bonus_max_kopecks())
            .bind(redemption.effect.until().as_micros())
            .bind(redemption.redeemed_at.as_micros())
            .bind(redemption.used_at.map(Timestamp::as_micros))
            .bind(redemption.entry_number)
            .bind(redemption.top_up.map(|id| id.as_uuid()))
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    async fn update_redemptions(
        &self,
        tx: &mut Self::Tx,
        redemptions: &[&Redemption],
    ) -> Answer<()> {
        for redemption in redemptions {
            let done = sqlx::query(
                "update redemptions
                 set used_at = $3,
                     top_up_id = $4
                 where user_id = $1
                   and code = $2",
            )
            .bind(redemption.user.get())
            .bind(redemption.code.as_str())
            .bind(redemption.used_at.map(Timestamp::as_micros))
            .bind(redemption.top_up.map(|id| id.as_uuid()))
            .execute(&mut **tx)
            .await?;
            StoreError::expect_rows(1, done.rows_affected())?;
        }
        Ok(())
    }
}
