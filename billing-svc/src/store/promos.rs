//! Promo codes, and who has redeemed them.

use std::future::Future;

use super::{Answer, Engine};
use crate::domain::{IdempotencyKey, PromoCode, PromoCodeName, Redemption, Timestamp, UserId};

/// The tables `promo_codes` and `redemptions`.
pub trait Promos: Engine {
    /// Locks the codes of `names` (each named once) in order of name, and reads them. After the
    /// accounts: everybody locks in the same order.
    fn lock_promo_codes(
        &self,
        tx: &mut Self::Tx,
        names: &[PromoCodeName],
    ) -> impl Future<Output = Answer<Vec<PromoCode>>> + Send;

    fn insert_promo_codes(
        &self,
        tx: &mut Self::Tx,
        codes: &[&PromoCode],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Stores what may change in a code's life: how often it was redeemed, and that it was stopped.
    fn update_promo_codes(
        &self,
        tx: &mut Self::Tx,
        codes: &[&PromoCode],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Reads the codes after `after`, ordered by name.
    fn promo_codes_page(
        &self,
        after: &str,
        limit: i64,
    ) -> impl Future<Output = Answer<Vec<PromoCode>>> + Send;

    /// Reads what the redemptions of `users` still give.
    fn active_redemptions(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
        now: Timestamp,
    ) -> impl Future<Output = Answer<Vec<Redemption>>> + Send;

    /// Reads redemptions by key and by code: those of a pair that are either.
    fn redemptions(
        &self,
        tx: &mut Self::Tx,
        wanted: &[(UserId, IdempotencyKey, PromoCodeName)],
    ) -> impl Future<Output = Answer<Vec<Redemption>>> + Send;

    fn insert_redemptions(
        &self,
        tx: &mut Self::Tx,
        redemptions: &[&Redemption],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Stores that redemptions were used up.
    fn update_redemptions(
        &self,
        tx: &mut Self::Tx,
        redemptions: &[&Redemption],
    ) -> impl Future<Output = Answer<()>> + Send;
}
