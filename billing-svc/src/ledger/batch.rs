//! The writers: requests that wait together are written together.
//!
//! A user has one writer. While the database works for one of them, the other answers and decides;
//! more would share the same processors, and make batches smaller. They know nothing of each other:
//! what both touch is under the database's locks, as between two processes.
//!
//! Invariant: one transaction a batch, begun and committed in [`Writer::attempt`] and nowhere
//! else, and nobody is answered before it is committed.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::books::Books;
use super::chain::Unchained;
use super::changes::{Changes, Effects};
use super::decision::{Job, Line, count};
use super::needs::Needs;
use super::tries::{Tries, in_time};
use super::{BillingError, CONSUMERS, Rules};
use crate::clock::Clock;
use crate::domain::{PaymentId, Provider, ProviderRefundId, UserId};
use crate::store::{ChangedOperations, Store, StoreError, WantedOperations};

/// Larger batches gain nothing more, and delay the first of them.
const BATCH_MAX: usize = 256;

type Batch = Vec<Box<dyn Job>>;

/// All that write.
#[derive(Debug)]
pub struct Writers<S>(pub(super) Vec<Writer<S>>);

impl<S: Store> Writers<S> {
    /// Writes until the last ledger is gone and nothing waits, or a writer dies.
    pub async fn run(self) {
        let mut running: JoinSet<()> = self.0.into_iter().map(Writer::run).collect();
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(error.cause = %error, "a writer died");
                return;
            }
        }
    }
}

/// Takes what waits, and writes it.
#[derive(Debug)]
pub(super) struct Writer<S> {
    /// Names it in metrics.
    pub(super) number: usize,
    pub(super) store: S,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: Arc<Rules>,
    pub(super) waiting: mpsc::Receiver<Box<dyn Job>>,
    pub(super) news: watch::Sender<u64>,
    pub(super) unchained: Unchained,
}

impl<S: Store> Writer<S> {
    /// There is no timer: what has queued while the last batch was written is the next, so a lone
    /// request is written at once.
    async fn run(mut self) {
        let depth = metrics::gauge!("billing_queue_depth", "writer" => self.number.to_string());
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            depth.set(as_f64(self.waiting.len()));
            self.write(std::mem::take(&mut batch)).await;
        }
    }

    async fn write(&self, mut batch: Batch) {
        // Nothing of theirs is written yet, and nobody would learn of it.
        batch.retain(|job| !job.is_abandoned());
        if batch.is_empty() {
            return;
        }
        metrics::histogram!("billing_write_batch_size").record(as_f64(batch.len()));
        let started = Instant::now();
        match self.attempts(&mut batch).await {
            Ok(effects) => self.tell(batch, effects),
            Err(error) if batch.len() > 1 && error.may_be_one_request() => {
                tracing::warn!(error.cause = ?error, "batch failed, writing one by one");
                self.write_one_by_one(batch).await;
            }
            Err(error) => fail(batch, error),
        }
        metrics::histogram!("billing_write_seconds").record(started.elapsed().as_secs_f64());
    }

    /// So that one bad request does not fail its neighbours.
    async fn write_one_by_one(&self, batch: Batch) {
        for job in batch {
            let mut alone = vec![job];
            match self.attempts(&mut alone).await {
                Ok(effects) => self.tell(alone, effects),
                Err(error) => fail(alone, error),
            }
        }
    }

    async fn attempts(&self, batch: &mut Batch) -> Result<Effects, StoreError> {
        let mut tries = Tries::new();
        loop {
            match in_time(self.attempt(batch)).await {
                Err(error) if tries.are_left(&error) => tries.pause(&error).await,
                ended => return ended,
            }
        }
    }

    async fn attempt(&self, batch: &mut Batch) -> Result<Effects, StoreError> {
        let mut needs = Needs::default();
        for job in batch.iter() {
            job.needs(&mut needs);
        }
        needs.tidy();

        let mut tx = self.store.begin_batch().await?;
        let mut books = load(&self.store, &mut tx, &needs, (&self.rules, &*self.clock)).await?;
        for job in batch.iter_mut() {
            job.decide(&mut books);
        }
        flush(&self.store, &mut tx, &books.changes()).await?;
        self.store.commit(tx).await?;
        self.unchained.note(&books.entries);
        Ok(books.into_effects())
    }

    /// Answers, after everything is stored.
    fn tell(&self, batch: Batch, effects: Effects) {
        for released in &effects.released {
            let operation = &released.operation;
            count("expire", "done");
            Line::of_operation(operation).write(
                "hold expired",
                "done",
                operation.user,
                Some(&released.after),
            );
        }
        for job in batch {
            job.answer();
        }
        if effects.has_events {
            self.news.send_modify(|news| *news = news.wrapping_add(1));
        }
    }
}

fn fail(batch: Batch, error: StoreError) {
    let is_broken = matches!(BillingError::from(error), BillingError::Broken);
    for job in batch {
        job.fail(if is_broken { BillingError::Broken } else { BillingError::Unavailable });
    }
}

/// Locks the accounts, and reads under their locks what the batch names.
async fn load<'r, S: Store>(
    store: &S,
    tx: &mut S::Tx,
    needs: &Needs,
    (rules, clock): (&'r Rules, &dyn Clock),
) -> Result<Books<'r>, StoreError> {
    let accounts = store.lock_accounts(tx, &needs.users).await?;
    // Read after the locks: time that was spent waiting for them has passed for the holds too.
    let now = clock.now();
    let mut books = Books::new(rules, now);
    let holders: Vec<_> =
        accounts.iter().filter(|account| account.holds_anything()).map(|a| a.user).collect();
    accounts.into_iter().for_each(|account| books.load_account(account));

    let wanted = WantedOperations {
        ids: &needs.operations,
        keys: &needs.operation_keys,
        holders: &holders,
        now,
    };
    if !wanted.is_empty() {
        let found = store.wanted_operations(tx, wanted).await?;
        found.into_iter().for_each(|operation| books.load_operation(operation));
    }
    if !needs.profiles.is_empty() {
        let profiles = store.profiles(tx, &needs.profiles).await?;
        profiles.into_iter().for_each(|(user, profile)| books.load_profile(user, profile));
    }
    load_top_ups(store, tx, needs, &mut books).await?;
    load_offers(store, tx, needs, &mut books).await?;
    Ok(books)
}

/// Most batches need none of this.
async fn load_offers<S: Store>(
    store: &S,
    tx: &mut S::Tx,
    needs: &Needs,
    books: &mut Books<'_>,
) -> Result<(), StoreError> {
    let redeemers = books.with_redemptions(&needs.users);
    if !redeemers.is_empty() {
        let active = store.active_redemptions(tx, &redeemers, books.now).await?;
        active.into_iter().for_each(|redemption| books.load_redemption(redemption));
    }
    if !needs.redemptions.is_empty() {
        let named = store.redemptions(tx, &needs.redemptions).await?;
        named.into_iter().for_each(|redemption| books.load_redemption(redemption));
    }
    if !needs.interventions.is_empty() {
        let named = store.interventions(tx, &needs.interventions).await?;
        named.into_iter().for_each(|intervention| books.load_intervention(intervention));
    }
    // Last: many users wait for one of these rows, and it is held until the commit.
    if !needs.promo_codes.is_empty() {
        let codes = store.lock_promo_codes(tx, &needs.promo_codes).await?;
        codes.into_iter().for_each(|code| books.load_promo_code(code));
    }
    Ok(())
}

async fn load_top_ups<S: Store>(
    store: &S,
    tx: &mut S::Tx,
    needs: &Needs,
    books: &mut Books<'_>,
) -> Result<(), StoreError> {
    if !needs.top_ups.is_empty() {
        let named = store.top_ups_by_id(tx, &needs.top_ups).await?;
        named.into_iter().for_each(|top_up| books.load_top_up(top_up));
    }
    if !needs.top_up_keys.is_empty() {
        let named = store.top_ups_by_key(tx, &needs.top_up_keys).await?;
        named.into_iter().for_each(|top_up| books.load_top_up(top_up));
    }
    let mut payments: Vec<(Provider, PaymentId)> = needs
        .payments
        .iter()
        .filter_map(|(user, id, payment)| {
            let top_up = books.top_up(*user, *id).ok()?;
            Some((top_up.provider, payment.clone()))
        })
        .collect();
    payments.sort_unstable();
    payments.dedup();
    if !payments.is_empty() {
        let claims = store.claims(tx, &payments).await?;
        claims.into_iter().for_each(|claim| books.load_claim(claim));
    }
    let refunds: Vec<(UserId, Provider, ProviderRefundId)> = needs
        .refunds
        .iter()
        .filter_map(|(user, id, refund)| {
            let top_up = books.top_up(*user, *id).ok()?;
            Some((*user, top_up.provider, refund.clone()))
        })
        .collect();
    if !refunds.is_empty() {
        let reversals = store.reversals(tx, &refunds).await?;
        reversals.into_iter().for_each(|reversal| books.load_reversal(reversal));
    }
    Ok(())
}

/// Writes what has changed: what every batch changes at once, the rest table by table.
async fn flush<S: Store>(
    store: &S,
    tx: &mut S::Tx,
    changes: &Changes<'_>,
) -> Result<(), StoreError> {
    if !changes.new_accounts.is_empty() {
        store.insert_accounts(tx, &changes.new_accounts).await?;
    }
    if !changes.profiles.is_empty() {
        store.put_profiles(tx, &changes.profiles).await?;
    }
    let operations = ChangedOperations {
        accounts: &changes.accounts,
        new: &changes.new_operations,
        changed: &changes.operations,
        new_holds: &changes.new_holds,
        ended_holds: &changes.ended_holds,
        entries: changes.entries,
    };
    if !operations.is_empty() {
        store.write_operations(tx, operations).await?;
    }
    if !changes.new_top_ups.is_empty() {
        store.insert_top_ups(tx, &changes.new_top_ups).await?;
    }
    if !changes.top_ups.is_empty() {
        store.update_top_ups(tx, &changes.top_ups).await?;
    }
    if !changes.claims.is_empty() {
        store.insert_claims(tx, &changes.claims).await?;
    }
    if !changes.reversals.is_empty() {
        store.insert_reversals(tx, &changes.reversals).await?;
    }
    if !changes.promo_codes.is_empty() {
        store.update_promo_codes(tx, &changes.promo_codes).await?;
    }
    if !changes.new_redemptions.is_empty() {
        store.insert_redemptions(tx, &changes.new_redemptions).await?;
    }
    if !changes.redemptions.is_empty() {
        store.update_redemptions(tx, &changes.redemptions).await?;
    }
    if !changes.interventions.is_empty() {
        store.insert_interventions(tx, &changes.interventions).await?;
    }
    if !changes.events.is_empty() {
        store.insert_events(tx, &CONSUMERS, changes.events).await?;
    }
    Ok(())
}

/// Counts here are far below the point where a float loses one.
fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
