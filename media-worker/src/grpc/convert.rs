//! Wire types ↔ domain types.

use std::time::Duration;

use prost_types::Timestamp;
use proto::media::v1 as wire;

use crate::domain::{
    Choices, FailureReason, Format, Job, JobKey, Mode, OperationId, Stage, UserId, Work,
};
use crate::fal::{Model, Models, NotOffered};

use super::status::MediaError;

/// The most jobs that one acknowledgement names.
const ACKS_MAX: usize = 100;

pub(super) fn user(id: i64) -> Result<UserId, MediaError> {
    UserId::new(id).map_err(|_| MediaError::InvalidField("user_id"))
}

pub(super) fn key(user_id: i64, operation_id: &str) -> Result<JobKey, MediaError> {
    let operation: OperationId =
        operation_id.parse().map_err(|_| MediaError::InvalidField("operation_id"))?;
    Ok(JobKey { user: user(user_id)?, operation })
}

/// Reads and checks what a job is asked for.
pub(super) fn work(
    models: &Models,
    request: wire::SubmitJobRequest,
) -> Result<(JobKey, Work), MediaError> {
    let key = key(request.user_id, &request.operation_id)?;
    let mode = mode(request.mode())?;
    mode.check(&request.prompt, request.input_ids.len())?;
    let choices = choices(&request)?;
    // An id that cannot be one was never given out.
    let inputs = request.input_ids.iter().map(|id| id.parse()).collect::<Result<Vec<_>, _>>();
    let inputs = inputs.map_err(|_| MediaError::InputNotFound)?;
    let work = Work { mode, model: request.model, prompt: request.prompt, inputs, choices };
    models.check(&work)?;
    Ok((key, work))
}

fn choices(request: &wire::SubmitJobRequest) -> Result<Choices, MediaError> {
    let format = match wire::Format::try_from(request.format) {
        Ok(wire::Format::Unspecified) => None,
        Ok(wire::Format::Vertical) => Some(Format::Vertical),
        Ok(wire::Format::Square) => Some(Format::Square),
        Ok(wire::Format::Horizontal) => Some(Format::Horizontal),
        Err(_) => return Err(NotOffered::Format.into()),
    };
    let factor = request.upscale_factor;
    Ok(Choices { format, upscale_factor: (factor != 0).then(|| factor.into()) })
}

fn wire_format(format: Format) -> wire::Format {
    match format {
        Format::Vertical => wire::Format::Vertical,
        Format::Square => wire::Format::Square,
        Format::Horizontal => wire::Format::Horizontal,
    }
}

/// The models that users may ask for.
pub(super) fn offered(models: &Models) -> wire::ListModelsResponse {
    let offered = models.all().iter().filter(|model| model.is_offered);
    wire::ListModelsResponse { models: offered.map(model).collect() }
}

fn model(model: &Model) -> wire::Model {
    wire::Model {
        mode: wire_mode(model.mode).into(),
        name: model.name.clone(),
        title: model.title.clone(),
        formats: model.formats().map(|format| wire_format(format).into()).collect(),
        upscale_factors: model.upscale_factors.iter().copied().map(number).collect(),
        prompt_characters_max: i32::try_from(model.prompt_max).unwrap_or(i32::MAX),
        languages: model.languages.clone(),
    }
}

pub(super) fn acks(request: &wire::AckResultsRequest) -> Result<Vec<JobKey>, MediaError> {
    if request.jobs.is_empty() || request.jobs.len() > ACKS_MAX {
        return Err(MediaError::InvalidField("jobs"));
    }
    request.jobs.iter().map(|job| key(job.user_id, &job.operation_id)).collect()
}

fn mode(mode: wire::Mode) -> Result<Mode, MediaError> {
    match mode {
        wire::Mode::Unspecified => Err(MediaError::UnknownMode),
        wire::Mode::Generate => Ok(Mode::Generate),
        wire::Mode::Edit => Ok(Mode::Edit),
        wire::Mode::Merge => Ok(Mode::Merge),
        wire::Mode::FaceSwap => Ok(Mode::FaceSwap),
        wire::Mode::Retouch => Ok(Mode::Retouch),
        wire::Mode::Upscale => Ok(Mode::Upscale),
    }
}

fn wire_mode(mode: Mode) -> wire::Mode {
    match mode {
        Mode::Generate => wire::Mode::Generate,
        Mode::Edit => wire::Mode::Edit,
        Mode::Merge => wire::Mode::Merge,
        Mode::FaceSwap => wire::Mode::FaceSwap,
        Mode::Retouch => wire::Mode::Retouch,
        Mode::Upscale => wire::Mode::Upscale,
    }
}

fn wire_reason(reason: FailureReason) -> wire::FailureReason {
    match reason {
        FailureReason::ContentRefused => wire::FailureReason::ContentRefused,
        FailureReason::BadInput => wire::FailureReason::BadInput,
        FailureReason::NoFace => wire::FailureReason::NoFace,
        FailureReason::Overloaded => wire::FailureReason::Overloaded,
        FailureReason::ProviderLocked => wire::FailureReason::ProviderLocked,
        FailureReason::Cancelled => wire::FailureReason::Cancelled,
        FailureReason::ProviderFailed => wire::FailureReason::ProviderFailed,
        FailureReason::TimedOut => wire::FailureReason::TimedOut,
        FailureReason::OutcomeUnknown => wire::FailureReason::OutcomeUnknown,
        FailureReason::HoldExpired => wire::FailureReason::HoldExpired,
    }
}

/// A job as callers see it. Until billing has answered, it is not known how it ends.
pub(super) fn job(
    job: &Job,
    queue_position: Option<i32>,
    estimate_seconds: Option<i32>,
) -> wire::Job {
    let mut told = wire::Job {
        operation_id: job.key.operation.to_string(),
        user_id: job.key.user.get(),
        mode: wire_mode(job.work.mode).into(),
        created_at: Some(timestamp(job.created_at)),
        ended_at: job.ended_at.map(timestamp),
        queue_position,
        estimate_seconds,
        cancellable: match &job.stage {
            Stage::Queued => true,
            // In the provider's queue.
            Stage::Submitted(..) => queue_position.is_some(),
            Stage::Submitting(_)
            | Stage::Committing { .. }
            | Stage::Charging(_)
            | Stage::Refunding(_)
            | Stage::Succeeded { .. }
            | Stage::Failed(_) => false,
        },
        ..wire::Job::default()
    };
    let state = match &job.stage {
        Stage::Queued => wire::JobState::Queued,
        Stage::Submitting(_)
        | Stage::Submitted(..)
        | Stage::Committing { .. }
        | Stage::Charging(_)
        | Stage::Refunding(_) => wire::JobState::Running,
        Stage::Succeeded { result } => {
            told.result_content_type.clone_from(&result.content_type);
            told.result_size_bytes = result.size;
            told.result_width = number(result.width);
            told.result_height = number(result.height);
            wire::JobState::Succeeded
        }
        Stage::Failed(why) => {
            told.failure_reason = wire_reason(why.reason).into();
            told.failure_detail.clone_from(&why.detail);
            told.charged = job.is_charged;
            told.refusals_left = job.refusals_left.map(number);
            wire::JobState::Failed
        }
    };
    told.state = state.into();
    told
}

pub(super) fn number(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn timestamp(ms: i64) -> Timestamp {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}
