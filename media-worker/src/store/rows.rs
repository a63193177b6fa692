//! Reading a job out of its row.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::domain::{
    Choices, Failure, FalRequest, InputId, Job, JobKey, MicroUsd, ResultPicture, Stage, Submission,
    UserId, Work,
};

use super::StoreError;

/// The columns that [`job`] reads, for `concat!`.
macro_rules! job_columns {
    () => {
        "user_id, operation_id, mode, model, prompt, inputs, request_id, state, created_at, \
         deadline_at, tries, attempts, endpoint, fal_key_index, fal_body, submitted_at, \
         fal_request_id, fal_status_url, fal_response_url, fal_cancel_url, failure_reason, \
         failure_detail, cost_micro_usd, result_file, result_content_type, result_size_bytes, \
         result_width, result_height, ended_at, turn, charged, refusals_left, \
         endpoints_failed, format, upscale_factor, webhook_token"
    };
}
pub(super) use job_columns;

/// Reads a row of [`job_columns`].
pub(super) fn job(row: &AnyRow) -> Result<Job, StoreError> {
    Ok(Job {
        key: key(row)?,
        work: Work {
            mode: parsed(row, "mode")?,
            model: row.try_get("model")?,
            prompt: row.try_get("prompt")?,
            inputs: inputs(row)?,
            choices: choices(row)?,
        },
        stage: stage(row)?,
        request_id: row.try_get("request_id")?,
        attempts: row.try_get("attempts")?,
        tries: row.try_get("tries")?,
        created_at: row.try_get("created_at")?,
        deadline_at: row.try_get("deadline_at")?,
        ended_at: row.try_get("ended_at")?,
        turn: row.try_get("turn")?,
        endpoints_failed: serde_json::from_str(row.try_get("endpoints_failed")?)
            .map_err(|_| StoreError::Unreadable("endpoints_failed"))?,
        key_index: row.try_get("fal_key_index")?,
        is_charged: row.try_get::<i64, _>("charged")? != 0,
        refusals_left: row.try_get("refusals_left")?,
    })
}

/// Reads `user_id` and `operation_id`.
pub(super) fn key(row: &AnyRow) -> Result<JobKey, StoreError> {
    let user = UserId::new(row.try_get("user_id")?);
    Ok(JobKey {
        user: user.map_err(|_| StoreError::Unreadable("user_id"))?,
        operation: parsed(row, "operation_id")?,
    })
}

fn stage(row: &AnyRow) -> Result<Stage, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(match state.as_str() {
        "queued" => Stage::Queued,
        "submitting" => Stage::Submitting(submission(row)?),
        "submitted" => Stage::Submitted(submission(row)?, fal_request(row)?),
        "committing" => Stage::Committing {
            result: result(row)?,
            cost: MicroUsd::new(row.try_get("cost_micro_usd")?),
            fal_request_id: row.try_get("fal_request_id")?,
        },
        "charging" => Stage::Charging(failure(row)?),
        "refunding" => Stage::Refunding(failure(row)?),
        "succeeded" => Stage::Succeeded { result: result(row)? },
        "failed" => Stage::Failed(failure(row)?),
        _ => return Err(StoreError::Unreadable("state")),
    })
}

fn inputs(row: &AnyRow) -> Result<Vec<InputId>, StoreError> {
    let unreadable = || StoreError::Unreadable("inputs");
    let text: String = row.try_get("inputs")?;
    let ids: Vec<String> = serde_json::from_str(&text).map_err(|_| unreadable())?;
    ids.iter().map(|id| id.parse().map_err(|_| unreadable())).collect()
}

fn choices(row: &AnyRow) -> Result<Choices, StoreError> {
    let format: Option<String> = row.try_get("format")?;
    let format = format.map(|name| name.parse()).transpose();
    Ok(Choices {
        format: format.map_err(|_| StoreError::Unreadable("format"))?,
        upscale_factor: row.try_get("upscale_factor")?,
    })
}

fn submission(row: &AnyRow) -> Result<Submission, StoreError> {
    Ok(Submission {
        endpoint: row.try_get("endpoint")?,
        key_index: row.try_get("fal_key_index")?,
        body: row.try_get("fal_body")?,
        webhook_token: row.try_get("webhook_token")?,
        at: row.try_get("submitted_at")?,
    })
}

fn fal_request(row: &AnyRow) -> Result<FalRequest, StoreError> {
    Ok(FalRequest {
        id: row.try_get("fal_request_id")?,
        status_url: row.try_get("fal_status_url")?,
        response_url: row.try_get("fal_response_url")?,
        cancel_url: row.try_get("fal_cancel_url")?,
    })
}

fn result(row: &AnyRow) -> Result<ResultPicture, StoreError> {
    Ok(ResultPicture {
        file: row.try_get("result_file")?,
        content_type: row.try_get("result_content_type")?,
        size: row.try_get("result_size_bytes")?,
        width: row.try_get("result_width")?,
        height: row.try_get("result_height")?,
    })
}

fn failure(row: &AnyRow) -> Result<Failure, StoreError> {
    Ok(Failure { reason: parsed(row, "failure_reason")?, detail: row.try_get("failure_detail")? })
}

fn parsed<T: std::str::FromStr>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| StoreError::Unreadable(column))
}
