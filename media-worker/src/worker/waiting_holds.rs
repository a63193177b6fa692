//! Keeps the holds of jobs that wait for a place: a queue that is longer than billing's `HOLD_TTL`
//! costs nobody their turn, and what nobody holds money for any more does not wait on.

use proto::billing::v1::ExtendRequest;
use proto::client;
use proto::service::shutdown::Shutdown;
use tokio::time::sleep;

use crate::clock::{millis, now_ms};
use crate::domain::{Failure, FailureReason, JobKey};
use crate::store::StoreError;

use super::hold;
use super::lanes::Parts;

/// Jobs that are read at once.
const ROWS_MAX: i64 = 500;

pub(super) async fn run(parts: &Parts, shutdown: &Shutdown) {
    while shutdown.until(sleep(parts.settings.extend_waiting_every)).await.is_some() {
        if let Some(Err(error)) = shutdown.until(extend_all(parts)).await {
            let cause = format!("{:#}", anyhow::Error::new(error));
            tracing::warn!(error.cause = %cause, "the holds of waiting jobs could not be looked at");
        }
    }
}

/// Extends each, in the order of their keys. A billing that is away is asked again next time.
async fn extend_all(parts: &Parts) -> Result<(), StoreError> {
    // A fresh hold is as long as an extended one.
    let made_before = now_ms().saturating_sub(millis(parts.settings.extend_waiting_every));
    let mut after = None;
    loop {
        let keys = parts.store.waiting_since(made_before, after, ROWS_MAX).await?;
        let Some(last) = keys.last() else { return Ok(()) };
        after = Some(*last);
        for key in keys {
            if !extend(parts, key).await? {
                return Ok(());
            }
        }
    }
}

/// Extends one hold; `false` when billing does not answer, or has no room.
async fn extend(parts: &Parts, key: JobKey) -> Result<bool, StoreError> {
    let request =
        ExtendRequest { user_id: key.user.get(), operation_id: key.operation.to_string() };
    match parts.billing.extend(request).await {
        Ok(_) => Ok(true),
        Err(status) if hold::is_gone(&status) => {
            // Unless it was sent at this very moment: then whoever works on it finds out.
            let why = Failure::new(FailureReason::HoldExpired, "hold_gone");
            if parts.store.end_waiting(key, &why, now_ms()).await? {
                tracing::warn!(
                    user.id = %key.user, operation.id = %key.operation, error.cause = %status,
                    "a waiting job has no hold any more"
                );
                parts.board.tell_work();
            }
            Ok(true)
        }
        Err(status) if client::is_unknown(&status) || client::retry_after(&status).is_some() => {
            tracing::warn!(error.cause = %status, "holds of waiting jobs could not be extended");
            Ok(false)
        }
        // One that billing will not extend must not cost the others their holds.
        Err(status) => {
            tracing::error!(
                user.id = %key.user, operation.id = %key.operation, error.cause = %status,
                "billing refuses to extend a waiting job's hold"
            );
            Ok(true)
        }
    }
}
