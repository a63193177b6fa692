//! The chainer: extends each user's chain of hashes, off the write path.
//!
//! It decides nothing and needs no leader: a head is only ever moved forward, and two processes
//! that chain the same entries come to the same hash. Each head is logged before it is stored, so
//! what the database says can be compared with what was written down outside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::service::shutdown::Shutdown;
use tokio::time::Instant;

use super::links::Links;
use super::tries::in_time;
use crate::clock::Clock;
use crate::domain::{ChainHash, Entry};
use crate::store::chain::ChainHead;
use crate::store::raw::{
    CHAIN_STANDINGS, ChainStanding, RawEntry, RawHead, RawIntervention, RawOperation,
    RawRedemption, RawTopUp,
};
use crate::store::verify::{Audit as _, Read, Snapshot, Statement, Wanted};
use crate::store::{Answer, Store};

/// Users that are chained in one look at the store.
const USERS_MAX: usize = 64;
/// Entries of one user that are chained in one look; what is left comes in the next.
const ENTRIES_MAX: i64 = 500;
/// Accounts that are read at once to find those that were left behind.
const SCAN_PAGE: i64 = 1_000;
/// A process that was killed has forgotten whom it was to chain.
const SCAN_EVERY: Duration = Duration::from_secs(86_400);

/// Users who got entries since they were last chained. Clones are the same set.
#[derive(Clone, Debug, Default)]
pub(super) struct Unchained(Arc<Mutex<BTreeSet<i64>>>);

impl Unchained {
    /// Remembers whom stored entries belong to.
    pub(super) fn note(&self, entries: &[Entry]) {
        self.put(entries.iter().map(|entry| entry.user.get()));
    }

    fn put(&self, users: impl IntoIterator<Item = i64>) {
        // What a panic elsewhere may have left of a set of numbers is still a set of numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(users);
    }

    fn take(&self) -> BTreeSet<i64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Extends chains.
#[derive(Clone, Debug)]
pub struct Chainer<S> {
    pub(super) store: S,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) unchained: Unchained,
}

/// Whether the chainer gives way to callers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pace {
    /// It rests as long as it has worked.
    Gentle,
    /// It is the last one that works.
    Hurried,
}

impl<S: Store> Chainer<S> {
    /// Chains what was written, every so often until `shutdown`; and once a day, and at first,
    /// what was left behind.
    pub async fn run(self, every: Duration, shutdown: Shutdown) {
        let mut scan_at = Instant::now();
        loop {
            let work = async {
                if Instant::now() >= scan_at {
                    self.catch_up().await?;
                    scan_at = Instant::now() + SCAN_EVERY;
                }
                self.round(Pace::Gentle).await
            };
            match shutdown.until(work).await {
                None => return,
                Some(Err(error)) => {
                    tracing::warn!(error.cause = ?error, "chaining broken off, going on later");
                }
                Some(Ok(())) => {}
            }
            if shutdown.until(tokio::time::sleep(every)).await.is_none() {
                return;
            }
        }
    }

    /// Chains what waits, as far as it comes in `time`. What is left is found at the next start.
    pub async fn flush(&self, time: Duration) {
        drop(tokio::time::timeout(time, self.round(Pace::Hurried)).await);
    }

    /// Finds the accounts whose entries go further than their chain, and chains them.
    async fn catch_up(&self) -> Answer<()> {
        let mut after = 0;
        loop {
            let mut page: Vec<ChainStanding> = Vec::new();
            let mut snapshot = self.store.audit().snapshot().await?;
            let statement =
                Statement { sql: CHAIN_STANDINGS, texts: &[], numbers: &[after, SCAN_PAGE] };
            in_time(
                snapshot.rows(&statement, |row: Read<ChainStanding>| page.extend(readable(row))),
            )
            .await?;
            drop(snapshot);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.user;
            let behind = page.iter().filter(|one| one.last_entry > one.chained);
            self.chain(behind.map(|one| one.user).collect(), Pace::Gentle).await?;
        }
    }

    async fn round(&self, pace: Pace) -> Answer<()> {
        let users = self.unchained.take();
        let waiting = u32::try_from(users.len()).unwrap_or(u32::MAX);
        metrics::gauge!("billing_chain_waiting_users").set(f64::from(waiting));
        self.chain(users.into_iter().collect(), pace).await
    }

    /// Chains all entries of `users`; whom it does not come to is kept for the next round.
    async fn chain(&self, users: Vec<i64>, pace: Pace) -> Answer<()> {
        let mut left = LeftOver { unchained: &self.unchained, users };
        while !left.users.is_empty() {
            let started = Instant::now();
            let size = left.users.len().min(USERS_MAX);
            let (heads, unfinished) = self.extend(&left.users[..size]).await?;
            self.put(&heads).await?;
            left.users.drain(..size);
            left.users.extend(unfinished);
            if pace == Pace::Gentle {
                tokio::time::sleep(started.elapsed()).await;
            }
        }
        Ok(())
    }

    /// The heads of `users` as far as one look goes, and who has more entries.
    async fn extend(&self, users: &[i64]) -> Answer<(Vec<ChainHead>, Vec<i64>)> {
        let mut snapshot = self.store.audit().snapshot().await?;
        let read = in_time(async {
            let mut ends = ends(&mut snapshot, users).await?;
            let wanted: Vec<_> = ends
                .iter()
                .map(|(&user, end)| Wanted {
                    user,
                    above: end.number,
                    upto: end.number.saturating_add(ENTRIES_MAX),
                })
                .collect();
            let links = links(&mut snapshot, &wanted).await?;
            snapshot
                .chained(&wanted, |row| {
                    let Some(entry) = readable::<RawEntry>(row) else { return };
                    let Some(end) = ends.get_mut(&entry.user) else { return };
                    // At a gap the chain ends, and `billing-svc verify` says so.
                    if end.number.checked_add(1) == Some(entry.number) {
                        *end = ChainHead {
                            number: entry.number,
                            hash: links.extend(end.hash, &entry),
                            ..*end
                        };
                    }
                })
                .await?;
            Ok((ends, wanted))
        });
        let (ends, wanted) = read.await?;
        let moved = |one: &&Wanted| ends[&one.user].number > one.above;
        let heads = wanted.iter().filter(moved).map(|one| ends[&one.user]).collect();
        let full = wanted.iter().filter(|one| ends[&one.user].number == one.upto);
        Ok((heads, full.map(|one| one.user).collect()))
    }

    async fn put(&self, heads: &[ChainHead]) -> Answer<()> {
        if heads.is_empty() {
            return Ok(());
        }
        for head in heads {
            tracing::info!(
                user.id = head.user,
                entry.number = head.number,
                hash = %head.hash,
                "billing: chain head"
            );
        }
        in_time(async {
            let mut tx = self.store.begin().await?;
            self.store.put_chain_heads(&mut tx, heads, self.clock.now()).await?;
            self.store.commit(tx).await
        })
        .await?;
        let count = u64::try_from(heads.len()).unwrap_or(u64::MAX);
        metrics::counter!("billing_chain_heads_total").increment(count);
        Ok(())
    }
}

/// Users that are still to be chained; given back when the work ends before they are, however it
/// ends.
struct LeftOver<'a> {
    unchained: &'a Unchained,
    users: Vec<i64>,
}

impl Drop for LeftOver<'_> {
    fn drop(&mut self) {
        self.unchained.put(self.users.drain(..));
    }
}

/// Where the chains of `users` end now.
async fn ends(snapshot: &mut impl Snapshot, users: &[i64]) -> Answer<BTreeMap<i64, ChainHead>> {
    let wanted: Vec<_> = users.iter().map(|&user| Wanted { user, above: 0, upto: 0 }).collect();
    let start = |user| ChainHead { user, number: 0, hash: ChainHash::START };
    let mut ends: BTreeMap<_, _> = users.iter().map(|&user| (user, start(user))).collect();
    snapshot
        .chained(&wanted, |row| {
            let Some(RawHead { user, number, hash }) = readable(row) else { return };
            match ChainHash::stored(&hash) {
                Some(hash) => drop(ends.insert(user, ChainHead { user, number, hash })),
                // Nothing is chained to what is no hash.
                None => drop(ends.remove(&user)),
            }
        })
        .await?;
    Ok(ends)
}

/// What came into being with the wanted entries.
async fn links(snapshot: &mut impl Snapshot, wanted: &[Wanted]) -> Answer<Links> {
    let mut links = Links::default();
    snapshot
        .chained(wanted, |row| {
            readable::<RawOperation>(row).iter().for_each(|row| links.add_operation(row));
        })
        .await?;
    snapshot
        .chained(wanted, |row| {
            readable::<RawTopUp>(row).iter().for_each(|row| links.add_top_up(row));
        })
        .await?;
    snapshot
        .chained(wanted, |row| {
            readable::<RawIntervention>(row).iter().for_each(|row| links.add_intervention(row));
        })
        .await?;
    snapshot
        .chained(wanted, |row| {
            readable::<RawRedemption>(row).iter().for_each(|row| links.add_redemption(row));
        })
        .await?;
    Ok(links)
}

/// `billing-svc verify` is who reports rows that cannot be read.
fn readable<T>(row: Read<T>) -> Option<T> {
    row.inspect_err(|error| {
        tracing::error!(user.id = error.user, error.cause = %error, "a row cannot be chained");
    })
    .ok()
}
