//! Those who wait for a place: told how many are before them when that has changed, and given up
//! at their deadline.

use std::collections::HashMap;
use std::time::Duration;

use proto::service::shutdown::Shutdown;
use tokio::time::sleep;

use crate::clock::now_ms;
use crate::domain::JobKey;
use crate::store::StoreError;

use super::lanes::Parts;

/// How often the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Those further behind are told when they have come closer.
const TOLD_MAX: i64 = 200;

pub(super) async fn run(parts: &Parts, shutdown: &Shutdown) {
    let mut told = HashMap::new();
    while shutdown.until(sleep(LOOK_EVERY)).await.is_some() {
        match look(parts, &told).await {
            Ok(now) => told = now,
            Err(error) => {
                let cause = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(error.cause = %cause, "the queue could not be read");
            }
        }
    }
}

async fn look(
    parts: &Parts,
    told: &HashMap<JobKey, i32>,
) -> Result<HashMap<JobKey, i32>, StoreError> {
    let given_up = parts.store.give_up_overdue(now_ms()).await?;
    if given_up > 0 {
        tracing::warn!(count = given_up, "jobs did not begin in time");
        parts.board.tell_work();
    }
    if !parts.board.is_listened_to() {
        return Ok(HashMap::new());
    }
    let mut now = HashMap::new();
    for (ahead, job) in (0..).zip(parts.store.waiting(TOLD_MAX).await?) {
        if told.get(&job.key) != Some(&ahead) {
            let estimate = parts.board.estimate(job.work.mode, ahead, parts.places_max());
            parts.board.tell_waiting(&job, ahead, estimate);
        }
        now.insert(job.key, ahead);
    }
    Ok(now)
}
