//! `/_sandbox/fal`: what was accepted, and what was asked.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::emulator::Fal;
use super::jobs::{Job, JobState, shortened};
use crate::seen::timestamp;

/// Longest text of an input that is shown whole.
const SHOWN: usize = 60_000;

pub(super) fn routes(fal: &Arc<Fal>) -> Router {
    Router::new()
        .route("/_sandbox/fal/requests", get(requests))
        .route("/_sandbox/fal/seen", get(seen))
        .with_state(Arc::clone(fal))
}

async fn requests(State(fal): State<Arc<Fal>>) -> Json<Value> {
    let mut jobs: Vec<Job> = fal.memory.read(|memory| memory.jobs.values().cloned().collect());
    jobs.sort_by_key(|job| job.number);
    let requests: Vec<_> = jobs.iter().map(request).collect();
    Json(json!({ "requests": requests }))
}

fn request(job: &Job) -> Value {
    let status = match job.state {
        JobState::Queued => "IN_QUEUE",
        JobState::Running => "IN_PROGRESS",
        JobState::Done(_) => "COMPLETED",
    };
    let mut request = json!({
        "request_id": job.request_id,
        "endpoint_id": job.endpoint_id,
        "status": status,
        "submitted_at": timestamp(job.submitted_ms),
        "input": shortened(&job.input, SHOWN),
    });
    if let JobState::Done(outcome) = &job.state {
        request["result_status"] = outcome.status.into();
        request["ended_at"] = job.ended_ms.map(timestamp).into();
    }
    request
}

async fn seen(State(fal): State<Arc<Fal>>) -> Json<Value> {
    Json(json!({ "calls": fal.calls.all() }))
}
