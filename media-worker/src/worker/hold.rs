//! Keeps the hold alive while a job is worked on, and notices when it is gone.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use proto::billing::v1::{ExtendRequest, Operation};
use proto::client::Billing;
use proto::reason;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Status;

use crate::clock::{now_ms, until};
use crate::domain::JobKey;

/// The longest pause between two extensions.
const EXTEND_EVERY_MAX: Duration = Duration::from_secs(5 * 60);
/// The shortest: also when billing does not answer.
const EXTEND_EVERY_MIN: Duration = Duration::from_millis(500);

/// What is known of the hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hold {
    /// Billing has not answered yet.
    Unknown,
    /// It was extended.
    Lives,
    /// The money was given back; there is nothing to work for.
    Gone,
}

/// Extends the hold at once, and then whenever a third of its rest has passed.
pub(super) async fn keep(billing: &Billing, key: JobKey, told: &watch::Sender<Hold>) -> Infallible {
    let request =
        ExtendRequest { user_id: key.user.get(), operation_id: key.operation.to_string() };
    loop {
        let pause = match billing.extend(request.clone()).await {
            Ok(response) => {
                told.send_replace(Hold::Lives);
                response.operation.as_ref().map_or(EXTEND_EVERY_MAX, |it| rest(it) / 3)
            }
            Err(status) if is_gone(&status) => {
                told.send_replace(Hold::Gone);
                return pending().await;
            }
            Err(status) => {
                tracing::warn!(error.cause = %status, "the hold could not be extended");
                EXTEND_EVERY_MIN
            }
        };
        sleep(pause.clamp(EXTEND_EVERY_MIN, EXTEND_EVERY_MAX)).await;
    }
}

fn rest(operation: &Operation) -> Duration {
    operation.expires_at.as_ref().map_or(EXTEND_EVERY_MAX, |at| {
        let at = at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos) / 1_000_000);
        until(at.max(now_ms()))
    })
}

/// Whether billing says that the operation holds nothing any more.
pub(super) fn is_gone(status: &Status) -> bool {
    reason::of(status).is_some_and(|reason| {
        matches!(
            reason.as_str(),
            reason::HOLD_EXPIRED
                | reason::OPERATION_REFUNDED
                | reason::OPERATION_COMMITTED
                | reason::OPERATION_NOT_FOUND
                | reason::USER_NOT_FOUND
        )
    })
}
