//! Where a job stands, and what its user may still do.

use proto::media::v1 as wire;

use crate::clock::{moscow_day, now_ms};
use crate::domain::{Job, Stage, UserId};
use crate::worker::Parts;

use super::convert;
use super::status::MediaError;

/// A job with its place in the queue, ours or the provider's.
pub(super) async fn told(parts: &Parts, job: &Job) -> Result<wire::Job, MediaError> {
    let (position, estimate) = match &job.stage {
        Stage::Queued => {
            let ahead = i32::try_from(parts.store.ahead_of(job).await?).unwrap_or(i32::MAX);
            (Some(ahead), parts.board.estimate(job.work.mode, ahead, parts.places_max()))
        }
        Stage::Submitted(..) => (parts.board.position(job.key), parts.board.rest(job)),
        Stage::Submitting(_)
        | Stage::Committing { .. }
        | Stage::Charging(_)
        | Stage::Refunding(_)
        | Stage::Succeeded { .. }
        | Stage::Failed(_) => (None, None),
    };
    Ok(convert::job(job, position, estimate))
}

pub(super) async fn limits(
    parts: &Parts,
    user: UserId,
) -> Result<wire::GetLimitsResponse, MediaError> {
    let max = parts.settings.refusals_per_day;
    let used = parts.store.refusals_given_back(user, &moscow_day(now_ms())).await?;
    Ok(wire::GetLimitsResponse {
        refusals_max: convert::number(max),
        refusals_left: convert::number(max.saturating_sub(used).max(0)),
        jobs_open: convert::number(parts.store.open_jobs(user).await?),
        jobs_at_once_max: i32::try_from(parts.settings.jobs_per_user).unwrap_or(i32::MAX),
    })
}
