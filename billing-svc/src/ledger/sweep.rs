//! The sweeper: touches accounts that have overdue holds and that nobody asks about.
//!
//! It decides nothing by itself, so it needs no leader: a touch that finds nothing does nothing.

use std::time::Duration;

use futures_util::future::join_all;
use proto::service::shutdown::Shutdown;

use super::touch::Touch;
use super::{BillingError, Ledger};
use crate::store::Store;

/// Users that are touched at once: one batch of the writer's leaves room for callers.
const PAGE: i64 = 128;

/// Sweeps every so often until `shutdown`.
pub async fn sweep<S: Store>(ledger: Ledger<S>, every: Duration, shutdown: Shutdown) {
    while shutdown.until(tokio::time::sleep(every)).await.is_some() {
        if let Err(error) = round(&ledger).await {
            tracing::warn!(error.cause = %error, "sweep broken off, going on at the next");
        }
    }
}

async fn round<S: Store>(ledger: &Ledger<S>) -> Result<(), BillingError> {
    let now = ledger.clock.now();
    let mut after = 0;
    loop {
        let users = ledger.store.overdue_users(now, after, PAGE).await?;
        let Some(last) = users.last() else { return Ok(()) };
        after = last.get();
        for touched in join_all(users.iter().map(|&user| ledger.decide(Touch { user }))).await {
            touched?;
        }
    }
}
