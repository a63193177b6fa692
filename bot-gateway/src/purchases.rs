//! Purchases whose SubmitJob or Refund was not answered, again and again until they are: after a
//! service was away, and after this process was killed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use proto::service::shutdown::Shutdown;

use crate::app::App;
use crate::paid;
use crate::store::{Job, now_ms};

const EVERY: Duration = Duration::from_millis(500);
const BATCH: i64 = 32;
const AT_ONCE: usize = 8;
/// A purchase that cannot be carried on for a reason of our own is left alone for so long.
const TROUBLE_PAUSE_MS: i64 = 30_000;

/// Carries purchases on until the shutdown.
pub async fn run(app: Arc<App>, shutdown: Shutdown) {
    while shutdown.until(tokio::time::sleep(EVERY)).await.is_some() {
        match app.store.overdue_jobs(now_ms(), BATCH).await {
            Ok(jobs) => {
                let jobs = stream::iter(jobs);
                jobs.for_each_concurrent(AT_ONCE, |job| carry_on(&app, job)).await;
            }
            Err(error) => tracing::error!(error.cause = ?error, "purchases not read"),
        }
    }
}

async fn carry_on(app: &App, job: Job) {
    let operation_id = job.operation_id.clone();
    let Err(error) = paid::carry_on(app, job).await else { return };
    tracing::error!(operation.id = %operation_id, error.cause = ?error, "purchase not carried on");
    if let Err(error) = app.store.put_job_off(&operation_id, now_ms() + TROUBLE_PAUSE_MS).await {
        tracing::error!(error.cause = ?error, "purchase not put off");
    }
}
