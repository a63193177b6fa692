//! Forgets what is no longer needed, and counts what waits.

use std::time::Duration;

use proto::service::shutdown::Shutdown;
use tokio::time::{Instant, sleep};

use crate::clock::{millis, moscow_day, now_ms};
use crate::store::StoreError;

use super::lanes::Parts;

/// How often waiting jobs are counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Rows of one look; the rest waits for the next.
const ROWS_MAX: i64 = 500;
/// How often all files are looked at for those that no row names: they are few, and the files many.
const ORPHANS_EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// A file that no row names may be one whose row is being written: it is left alone this long.
const ORPHAN_AGE: Duration = Duration::from_secs(48 * 60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a sweep stopped half-way; the next one goes on.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the picture store failed")]
    Disk(#[from] std::io::Error),
}

pub(super) async fn run(parts: &Parts, shutdown: &Shutdown) {
    let mut next_sweep = Instant::now();
    let mut next_orphans = Instant::now();
    loop {
        if let Ok(queued) = parts.store.queued().await {
            let queued = u32::try_from(queued).unwrap_or(u32::MAX);
            metrics::gauge!("jobs_queued").set(f64::from(queued));
        }
        if Instant::now() >= next_sweep {
            next_sweep = Instant::now() + parts.settings.sweep_every;
            warn_of(sweep(parts).await);
        }
        if Instant::now() >= next_orphans {
            next_orphans = Instant::now() + ORPHANS_EVERY;
            warn_of(remove_orphans(parts).await);
        }
        let pause = COUNT_EVERY.min(parts.settings.sweep_every);
        if shutdown.until(sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn sweep(parts: &Parts) -> Result<(), SweepError> {
    let Parts { store, pictures, settings, .. } = parts;
    let acked_before = now_ms().saturating_sub(millis(settings.keep_results));
    for (key, file) in store.to_forget(acked_before, ROWS_MAX).await? {
        // The file first: a row that names a missing file is answered with RESULT_NOT_FOUND, a
        // file that no row names would have to be found by walking.
        if let Some(file) = file {
            pictures.remove_result(key.user, &file).await?;
        }
        store.forget(key).await?;
    }
    let touched_before = now_ms().saturating_sub(millis(settings.keep_inputs));
    // A worker whose clock is a little behind may still count yesterday's.
    let yesterday = now_ms().saturating_sub(millis(DAY));
    store.forget_refusals_before(&moscow_day(yesterday)).await?;
    for (user, input) in store.drop_inputs(touched_before, ROWS_MAX).await? {
        pictures.remove_input(user, input).await?;
    }
    Ok(())
}

fn warn_of(swept: Result<(), SweepError>) {
    if let Err(error) = swept {
        let cause = format!("{:#}", anyhow::Error::new(error));
        tracing::warn!(error.cause = %cause, "old contents could not be removed");
    }
}

/// Files whose row was never written, or was removed just before a crash.
async fn remove_orphans(parts: &Parts) -> Result<(), SweepError> {
    let Parts { store, pictures, .. } = parts;
    for (user, input) in pictures.inputs_older_than(ORPHAN_AGE).await? {
        if store.input(user, input).await?.is_none() {
            pictures.remove_input(user, input).await?;
        }
    }
    for (key, file) in pictures.results_older_than(ORPHAN_AGE).await? {
        if !store.knows_result(key, &file).await? {
            pictures.remove_result(key.user, &file).await?;
        }
    }
    pictures.remove_parts_older_than(ORPHAN_AGE).await?;
    Ok(())
}
