//! Events: lent to one stream at a time, in order per user, until they are acknowledged.

use std::time::Duration;

use tokio::sync::watch;

use super::tries::{Tries, in_time};
use super::{BillingError, CONSUMERS, Ledger};
use crate::domain::Timestamp;
use crate::store::{EventId, Lease, LentEvent, Store, StoreError};

/// How long an event is lent.
const LEASE: Duration = Duration::from_secs(60);

impl<S: Store> Ledger<S> {
    /// Changes whenever an event may have become lendable in this process.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Refuses a consumer that events are not written for.
    pub fn check_consumer(&self, consumer: &str) -> Result<(), BillingError> {
        if CONSUMERS.contains(&consumer) { Ok(()) } else { Err(BillingError::ConsumerNotFound) }
    }

    /// Lends up to `limit` events: of each user the lowest that is unacknowledged, if nobody else
    /// was lent it.
    pub async fn lend_events(
        &self,
        consumer: &str,
        limit: i64,
    ) -> Result<Vec<LentEvent>, BillingError> {
        let mut tries = Tries::new();
        loop {
            match in_time(self.try_to_lend(consumer, limit)).await {
                Err(error) if tries.are_left(&error) => tries.pause(&error).await,
                ended => return Ok(ended?),
            }
        }
    }

    async fn try_to_lend(&self, consumer: &str, limit: i64) -> Result<Vec<LentEvent>, StoreError> {
        let now = self.clock.now();
        let ids = self.store.lendable_events(consumer, now, limit).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let lease = Lease { now, until: now.plus(LEASE) };
        let mut tx = self.store.begin().await?;
        let lent = self.store.lend_events(&mut tx, consumer, &ids, lease).await?;
        self.store.commit(tx).await?;
        Ok(lent)
    }

    /// Whether what was lent until then is still ours.
    pub fn is_lent(&self, lent_until: Timestamp) -> bool {
        self.clock.now() < lent_until
    }

    /// Takes events off a consumer's list.
    pub async fn ack_events(
        &self,
        consumer: &str,
        mut ids: Vec<EventId>,
    ) -> Result<(), BillingError> {
        self.check_consumer(consumer)?;
        // In order, so that two replicas seldom lock each other; a plan may change it all the same.
        ids.sort_unstable();
        ids.dedup();
        let mut tries = Tries::new();
        loop {
            match in_time(self.try_to_ack(consumer, &ids)).await {
                Err(error) if tries.are_left(&error) => tries.pause(&error).await,
                ended => break ended?,
            }
        }
        self.news.send_modify(|news| *news = news.wrapping_add(1));
        Ok(())
    }

    async fn try_to_ack(&self, consumer: &str, ids: &[EventId]) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        self.store.ack_events(&mut tx, consumer, ids, self.clock.now()).await?;
        self.store.commit(tx).await
    }
}
