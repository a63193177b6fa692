//! Purchases whose SubmitJob or Refund was not answered, again and again until they are: after a
//! service was away, and after this process was killed.

use std::sync::Arc;
use std::time::Duration;

use proto::service::shutdown::Shutdown;

use crate::app::App;
use crate::paid;
use crate::store::now_ms;

const EVERY: Duration = Duration::from_millis(500);
const BATCH: i64 = 32;
/// A purchase that cannot be carried on for a reason of our own is left alone for so long.
const TROUBLE_PAUSE_MS: i64 = 30_000;

/// Carries purchases on until the shutdown.
pub async fn run(app: Arc<App>, shutdown: Shutdown) {
    while shutdown.until(tokio::time::sleep(EVERY)).await.is_some() {
        match app.store.overdue_jobs(now_ms(), BATCH).await {
            Ok(jobs) => {
                for job in jobs {
                    let operation_id = job.operation_id.clone();
                    if let Err(error) = paid::carry_on(&app, job).await {
                        tracing::error!(operation.id = %operation_id, error.cause = ?error,
                            "purchase not carried on");
                        let until = now_ms() + TROUBLE_PAUSE_MS;
                        if let Err(error) = app.store.put_job_off(&operation_id, until).await {
                            tracing::error!(error.cause = ?error, "purchase not put off");
                        }
                    }
                    if shutdown.is_requested() {
                        return;
                    }
                }
            }
            Err(error) => tracing::error!(error.cause = ?error, "purchases not read"),
        }
    }
}
