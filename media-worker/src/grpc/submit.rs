//! SubmitJob: a reserved operation becomes a job, once.

use proto::billing::v1::{GetOperationRequest, Operation, OperationState};
use proto::media::v1 as wire;
use proto::{reason, request_id};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::clock::{millis, now_ms};
use crate::domain::{Choices, Format, Job, JobKey, Work};
use crate::store::{NewJob, Submitted};

use super::convert;
use super::service::Door;
use super::status::MediaError;

pub(super) async fn submit(
    door: &Door,
    request: wire::SubmitJobRequest,
) -> Result<Job, MediaError> {
    let (key, work) = convert::work(&door.parts.models, request)?;
    let payload_sha256 = digest(&work);
    let store = &door.parts.store;
    match store.job_with_payload(key).await? {
        Some((job, known)) if known == payload_sha256 => return Ok(job),
        Some(_) => return Err(MediaError::KeyReused),
        None => {}
    }
    for input in &work.inputs {
        store.input(key.user, *input).await?.ok_or(MediaError::InputNotFound)?;
    }
    check_reserved(door, key, &work).await?;
    let created_at = now_ms();
    let new = NewJob {
        key,
        work,
        payload_sha256,
        request_id: request_id::current(),
        created_at,
        deadline_at: created_at.saturating_add(millis(door.parts.settings.job_deadline)),
    };
    match store.submit_job(&new).await? {
        Submitted::New(job) => {
            tracing::info!(
                user.id = %key.user,
                operation.id = %key.operation,
                operation.r#type = %job.work.mode,
                "job accepted"
            );
            door.parts.board.tell_work();
            Ok(job)
        }
        Submitted::Repeated(job) => Ok(job),
        Submitted::KeyReused => Err(MediaError::KeyReused),
        Submitted::InputNotFound => Err(MediaError::InputNotFound),
    }
}

/// Work is begun for money that is held, and for nothing else.
async fn check_reserved(door: &Door, key: JobKey, work: &Work) -> Result<(), MediaError> {
    let request =
        GetOperationRequest { user_id: key.user.get(), operation_id: key.operation.to_string() };
    let operation = match door.parts.billing.get_operation(request).await {
        Ok(response) => response.operation.unwrap_or_default(),
        Err(status) if is_not_found(&status) => return Err(MediaError::OperationNotReserved),
        Err(status) => return Err(MediaError::Billing(status)),
    };
    if is_reserved_for(&operation, key, work) {
        Ok(())
    } else {
        Err(MediaError::OperationNotReserved)
    }
}

fn is_reserved_for(operation: &Operation, key: JobKey, work: &Work) -> bool {
    operation.state() == OperationState::Reserved
        && operation.user_id == key.user.get()
        && operation.operation_type == work.mode.name()
        && operation.model == work.model
}

fn is_not_found(status: &Status) -> bool {
    reason::of(status).is_some_and(|reason| {
        reason == reason::OPERATION_NOT_FOUND || reason == reason::USER_NOT_FOUND
    })
}

/// What a repeat must equal. Kept for ever, unlike the prompt itself.
fn digest(work: &Work) -> String {
    let mut hash = Sha256::new();
    let inputs: Vec<String> = work.inputs.iter().map(ToString::to_string).collect();
    // Lengths first: no two payloads are one text.
    let mut add = |part: &str| {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    };
    for part in [work.mode.name(), &work.model, &work.prompt, &inputs.join(",")] {
        add(part);
    }
    // Jobs without choices have the digest that they had before there were any.
    if work.choices != Choices::default() {
        add(work.choices.format.map_or("", Format::name));
        add(&work.choices.upscale_factor.map_or_else(String::new, |factor| factor.to_string()));
    }
    hex::encode(hash.finalize())
}
