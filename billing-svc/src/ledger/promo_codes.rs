//! What operators do with promo codes. A code is no account's, so this goes past the queue, in a
//! transaction of its own under the code's lock.

use super::decision::count;
use super::tries::{Tries, in_time};
use super::{BillingError, Ledger};
use crate::domain::{PromoCode, PromoCodeName, PromoError, Signature};
use crate::store::{Store, StoreError};

/// What an operator wants of a code.
#[derive(Clone, Debug)]
enum Wish {
    Create(Box<PromoCode>),
    Stop(PromoCodeName, Signature),
}

impl<S: Store> Ledger<S> {
    /// Creates a code, or meets the one there is.
    pub async fn create_promo_code(
        &self,
        offer: impl FnOnce(crate::domain::Timestamp) -> PromoCode,
    ) -> Result<PromoCode, BillingError> {
        let code = offer(self.clock.now());
        self.granted("create_promo_code", Wish::Create(Box::new(code))).await
    }

    /// Stops a code, if nobody has before.
    pub async fn stop_promo_code(
        &self,
        name: PromoCodeName,
        (actor, reason): (String, String),
    ) -> Result<PromoCode, BillingError> {
        let stopped = Signature { actor, reason, at: self.clock.now() };
        self.granted("stop_promo_code", Wish::Stop(name, stopped)).await
    }

    /// The codes after `after`, ordered by name.
    pub async fn promo_codes(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<PromoCode>, BillingError> {
        Ok(self.store.promo_codes_page(after, limit).await?)
    }

    async fn granted(&self, name: &'static str, wish: Wish) -> Result<PromoCode, BillingError> {
        let mut tries = Tries::new();
        let ended = loop {
            match in_time(self.try_to_grant(&wish)).await {
                Err(error) if tries.are_left(&error) => tries.pause(&error).await,
                ended => break ended.map_err(BillingError::from).flatten(),
            }
        };
        match &ended {
            Ok(code) => {
                count(name, "done");
                tracing::info!(promo_code = %code.name, redemptions = code.redemptions,
                    is_stopped = code.stopped.is_some(), "billing: {}", name.replace('_', " "));
            }
            Err(refusal) => count(name, refusal.outcome()),
        }
        ended
    }

    async fn try_to_grant(
        &self,
        wish: &Wish,
    ) -> Result<Result<PromoCode, BillingError>, StoreError> {
        let name = match wish {
            Wish::Create(offer) => &offer.name,
            Wish::Stop(name, _) => name,
        };
        let mut tx = self.store.begin().await?;
        let stored = self.store.lock_promo_codes(&mut tx, std::slice::from_ref(name)).await?.pop();
        let code = match (wish, stored) {
            (Wish::Create(offer), None) => {
                self.store.insert_promo_codes(&mut tx, &[offer]).await?;
                *offer.clone()
            }
            (Wish::Create(offer), Some(stored)) if stored.is_same_offer(offer) => stored,
            (Wish::Create(_), Some(_)) => return Ok(Err(BillingError::KeyReused)),
            (Wish::Stop(..), None) => return Ok(Err(PromoError::NotFound.into())),
            (Wish::Stop(..), Some(stored)) if stored.stopped.is_some() => stored,
            (Wish::Stop(_, stopped), Some(mut stored)) => {
                stored.stopped = Some(stopped.clone());
                self.store.update_promo_codes(&mut tx, &[&stored]).await?;
                stored
            }
        };
        self.store.commit(tx).await?;
        Ok(Ok(code))
    }
}
