//! CancelJob: ends what the provider has not begun.

use crate::clock::now_ms;
use crate::domain::{Failure, FailureReason, Job, JobKey, Stage};
use crate::fal::{Cancelled, Progress};
use crate::worker::Parts;

use super::status::MediaError;

/// Ends the job, or says that it has begun. Answers with the job as it is then.
pub(super) async fn cancel(parts: &Parts, key: JobKey) -> Result<Job, MediaError> {
    let job = read(parts, key).await?;
    match &job.stage {
        Stage::Queued => {
            let why = Failure::new(FailureReason::Cancelled, "");
            if !parts.store.end_waiting(key, &why, now_ms()).await? {
                // Begun at this very moment.
                return Err(MediaError::JobStarted);
            }
            tracing::info!(user.id = %key.user, operation.id = %key.operation, "job cancelled");
            parts.board.tell_work();
        }
        Stage::Submitted(submission, request) => {
            match parts.fal.status(request, submission.key_index).await {
                Ok(Progress::InQueue(_)) => {}
                Ok(Progress::InProgress | Progress::Completed(_)) => {
                    return Err(MediaError::JobStarted);
                }
                Err(_) => return Err(MediaError::Provider),
            }
            // Remembered first: whoever follows the job then knows why it has no picture.
            parts.store.ask_cancel(key, now_ms()).await?;
            match parts.fal.cancel(request, submission.key_index).await {
                Cancelled::Requested => {}
                Cancelled::AlreadyCompleted => return Err(MediaError::JobStarted),
                Cancelled::NotKnown => return Err(MediaError::Provider),
            }
            tracing::info!(user.id = %key.user, operation.id = %key.operation, "job's end asked for");
        }
        Stage::Refunding(_) | Stage::Failed(_) => return Ok(job),
        Stage::Submitting(_)
        | Stage::Committing { .. }
        | Stage::Charging(_)
        | Stage::Succeeded { .. } => return Err(MediaError::JobStarted),
    }
    read(parts, key).await
}

async fn read(parts: &Parts, key: JobKey) -> Result<Job, MediaError> {
    parts.store.job(key).await?.ok_or(MediaError::JobNotFound)
}
