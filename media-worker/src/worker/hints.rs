//! Webhooks that other workers took: whoever follows a job hears of them from the store.

use std::time::Duration;

use proto::service::shutdown::Shutdown;
use tokio::time::sleep;

use super::lanes::Parts;

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(parts: &Parts, shutdown: &Shutdown) {
    if !parts.fal.has_webhooks() {
        return;
    }
    while shutdown.until(sleep(LOOK_EVERY)).await.is_some() {
        match parts.store.hinted().await {
            Ok(keys) => parts.board.set_hints(keys),
            Err(error) => {
                let cause = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(error.cause = %cause, "webhooks could not be looked for");
            }
        }
    }
}
