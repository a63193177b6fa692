//! WatchResults: lends ended jobs, one after the other per user, and tells how jobs go on.

use std::time::Duration;

use proto::media::v1 as wire;
use proto::service::shutdown::Shutdown;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use wire::watch_results_response::Update;

use crate::clock::{in_ms, now_ms};
use crate::worker::Parts;

use super::convert;

/// How often the store is asked for ends that this process was not told of: those of other
/// processes, and those whose lending ran out.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) type Sender = mpsc::Sender<Result<wire::WatchResultsResponse, Status>>;

/// Serves one watcher until it, or the process, is gone.
pub(super) async fn run(parts: Parts, shutdown: Shutdown, to: Sender) {
    let mut ended = parts.board.ended();
    let mut progress = parts.board.progress();
    loop {
        ended.mark_unchanged();
        if !lend(&parts, &to, &shutdown).await {
            return;
        }
        let next_look = Instant::now() + LOOK_EVERY;
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = to.closed() => return,
                Ok(()) = ended.changed() => break,
                () = sleep_until(next_look) => break,
                told = progress.recv() => match told {
                    Ok(told) => {
                        let job = convert::job(&told.job, told.queue_position, told.estimate_seconds);
                        let update = Some(Update::Progress(job));
                        // Best effort: a watcher that is slow hears the next one.
                        to.try_send(Ok(wire::WatchResultsResponse { update })).ok();
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }
}

/// Lends what there is to lend; `false` when nobody takes it any more.
async fn lend(parts: &Parts, to: &Sender, shutdown: &Shutdown) -> bool {
    loop {
        // A place first: what nobody takes is not lent.
        let Some(Ok(place)) = shutdown.until(to.reserve()).await else { return false };
        let until = in_ms(parts.settings.delivery_lease);
        match parts.store.lend_ended(now_ms(), until).await {
            Ok(Some(job)) => {
                tracing::debug!(user.id = %job.key.user, operation.id = %job.key.operation, "end lent");
                let update = Some(Update::Ended(convert::job(&job, None, None)));
                place.send(Ok(wire::WatchResultsResponse { update }));
            }
            Ok(None) => return true,
            Err(error) => {
                let cause = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(error.cause = %cause, "ends could not be lent");
                return true;
            }
        }
    }
}
