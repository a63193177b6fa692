//! Submit, status, stream, result and cancel.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::emulator::Fal;
use super::endpoints;
use super::error::Outcome;
use super::gate::{Asked, answer, refuse};
use super::jobs::{Job, JobFault, JobState};
use super::webhook;
use crate::caller::{hang_up, header};
use crate::faults::FalFault;
use crate::seen::now_ms;

/// The largest input, data URIs included.
const INPUT_MAX: usize = 64 << 20;
/// How often a stream or a waiting caller looks at the job.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `POST /{endpoint}`: takes a job in; on the host `fal.run` it waits for the result.
pub(super) async fn submit(fal: &Arc<Fal>, asked: Asked) -> Response {
    let endpoint_id = asked.path.join("/");
    let app = endpoints::app(&endpoint_id);
    if !endpoints::is_app(&app) {
        return refuse(StatusCode::NOT_FOUND, &format!("Application \"{app}\" not found"));
    }
    let job = match read(&asked, endpoint_id) {
        Ok(job) => job,
        Err(refusal) => return *refusal,
    };
    let waits = is_run_host(&asked);
    let longest = asked.query("fal_max_queue_length").and_then(|text| text.parse::<usize>().ok());
    let body = match to_bytes(asked.body, INPUT_MAX).await {
        Ok(body) => body,
        Err(_) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large"),
    };
    let Ok(input) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "Request body is not valid JSON");
    };
    let fault = fal.faults.all().fal.and_then(|_| strike(fal));
    if fault.is_some_and(|fault| fault.kind == FalFault::Locked) {
        let detail = "User is locked. Reason: Exhausted balance. Top up your balance at \
                      fal.ai/dashboard/billing.";
        return refuse(StatusCode::FORBIDDEN, detail);
    }
    let Some(job) = fal.accept(Job { input, fault, ..job }, longest) else {
        return refuse(StatusCode::TOO_MANY_REQUESTS, "Queue length limit exceeded");
    };
    tracing::info!(request.id = job.request_id, endpoint = job.endpoint_id, "fal.ai job accepted");
    fal.start(&job.request_id);
    if fault.is_some_and(|fault| fault.kind == FalFault::DropSubmit) {
        return hang_up();
    }
    if waits {
        return wait(fal, &job.request_id).await;
    }
    let mut body = links(&job, &asked.base);
    body["status"] = "IN_QUEUE".into();
    body["queue_position"] = fal.memory.read(|memory| memory.position(&job)).into();
    body["gateway_request_id"] = job.request_id.clone().into();
    with_id(answer(StatusCode::OK, body), &job.request_id)
}

/// Everything behind `/{app}/requests/`.
pub(super) fn follow(fal: &Arc<Fal>, asked: &Asked) -> Response {
    let path = asked.segments();
    let at = path.iter().position(|part| *part == "requests").unwrap_or(path.len());
    let (before, after) = path.split_at(at);
    let Some((id, action)) = after.get(1..).and_then(<[_]>::split_first) else {
        return refuse(StatusCode::NOT_FOUND, "Not Found");
    };
    let job = fal.job(id).filter(|job| belongs(job, &before.join("/")));
    let Some(job) = job else {
        return answer(StatusCode::NOT_FOUND, json!({ "status": "NOT_FOUND" }));
    };
    let logs = matches!(asked.query("logs").as_deref(), Some("1" | "true" | "True"));
    let response = match (asked.parts.method.as_str(), action) {
        ("GET", ["status"]) => {
            let done = matches!(job.state, JobState::Done(_));
            let code = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
            answer(code, fal.status(&job, &asked.base, logs))
        }
        ("GET", ["status", "stream"]) => status_stream(fal, &job, &asked.base, logs),
        ("GET", [] | ["response"]) => result(&job),
        ("PUT", ["cancel"]) => cancel(fal, &job),
        ("PUT", [] | ["response" | "status"]) | ("GET", ["cancel"]) => {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        }
        _ => refuse(StatusCode::NOT_FOUND, "Not Found"),
    };
    with_id(response, &job.request_id)
}

/// A job is followed by its app; with the whole endpoint id too.
fn belongs(job: &Job, path: &str) -> bool {
    path == job.endpoint_id || path == endpoints::app(&job.endpoint_id)
}

fn is_run_host(asked: &Asked) -> bool {
    let host = asked.base.split("://").nth(1).unwrap_or_default();
    matches!(host.split(':').next(), Some("fal.run" | "falrun.com"))
}

/// The job without its input, from the headers.
fn read(asked: &Asked, endpoint_id: String) -> Result<Job, Box<Response>> {
    let headers = &asked.parts.headers;
    let now = now_ms();
    Ok(Job {
        request_id: Uuid::new_v4().to_string(),
        number: 0,
        endpoint_id,
        input: Value::Null,
        base: asked.base.clone(),
        submitted_ms: now,
        started_ms: None,
        ended_ms: None,
        fault: None,
        start_by_ms: start_timeout_ms(headers)?.map(|ms| now + ms),
        files_live_s: lifecycle(headers, "x-fal-object-lifecycle-preference")?,
        webhook: asked.query("fal_webhook").filter(|url| webhook::is_allowed(url)),
        state: JobState::Queued,
        logs: Vec::new(),
    })
}

fn start_timeout_ms(headers: &HeaderMap) -> Result<Option<i64>, Box<Response>> {
    let Some(text) = header(headers, "x-fal-request-timeout") else { return Ok(None) };
    let bad = || {
        let body = json!({
            "detail": "X-Fal-Request-Timeout is a number of seconds larger than 0.1",
            "error_type": "bad_request",
        });
        Box::new(answer(StatusCode::BAD_REQUEST, body))
    };
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let whole: i64 = whole.parse().map_err(|_| bad())?;
    let part: i64 = format!("{part:0<3}").get(..3).and_then(|p| p.parse().ok()).ok_or_else(bad)?;
    let ms = whole.saturating_mul(1000).saturating_add(part);
    if ms <= 100 { Err(bad()) } else { Ok(Some(ms)) }
}

/// `expiration_duration_seconds` of a lifecycle header; `None` for ever.
pub(super) fn lifecycle(headers: &HeaderMap, name: &str) -> Result<Option<i64>, Box<Response>> {
    let Some(text) = header(headers, name) else { return Ok(None) };
    let bad = || Box::new(refuse(StatusCode::BAD_REQUEST, &format!("{name} is not valid")));
    let preference: Value = serde_json::from_str(text).map_err(|_| bad())?;
    match preference.get("expiration_duration_seconds") {
        None | Some(Value::Null) => Ok(None),
        Some(seconds) => seconds.as_i64().filter(|seconds| *seconds > 0).map(Some).ok_or_else(bad),
    }
}

fn strike(fal: &Fal) -> Option<JobFault> {
    let counted = fal.faults.all().fal_count.is_some();
    fal.faults.strike_fal().map(|kind| JobFault { kind, counted })
}

fn links(job: &Job, base: &str) -> Value {
    let (app, id) = (endpoints::app(&job.endpoint_id), &job.request_id);
    let response_url = format!("{base}/{app}/requests/{id}");
    json!({
        "request_id": id,
        "status_url": format!("{response_url}/status"),
        "cancel_url": format!("{response_url}/cancel"),
        "response_url": response_url,
    })
}

fn result(job: &Job) -> Response {
    let JobState::Done(outcome) = &job.state else {
        return refuse(StatusCode::BAD_REQUEST, "Request is still in progress");
    };
    let status = StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer(status, outcome.body.clone());
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    if let Some(units) = &outcome.units {
        set("x-fal-billable-units", units);
    }
    if let Some(error_type) = &outcome.error_type {
        set("x-fal-error-type", error_type);
    }
    if outcome.deadline {
        set("x-fal-request-timeout-type", "user");
    }
    response
}

fn cancel(fal: &Fal, job: &Job) -> Response {
    if matches!(job.state, JobState::Done(_)) {
        return answer(StatusCode::BAD_REQUEST, json!({ "status": "ALREADY_COMPLETED" }));
    }
    fal.stop(&job.request_id);
    answer(StatusCode::ACCEPTED, json!({ "status": "CANCELLATION_REQUESTED" }))
}

async fn wait(fal: &Fal, id: &str) -> Response {
    while !fal.is_done(id) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    match fal.job(id) {
        Some(job) => with_id(result(&job), id),
        None => refuse(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// One event for each change; each carries only the log lines that are new.
fn status_stream(fal: &Arc<Fal>, job: &Job, base: &str, logs: bool) -> Response {
    let state = (Arc::clone(fal), job.request_id.clone(), base.to_owned(), String::new(), 0, false);
    let events = stream::unfold(state, move |(fal, id, base, last, told, over)| async move {
        if over {
            return None;
        }
        loop {
            let mut job = fal.job(&id)?;
            let over = matches!(job.state, JobState::Done(_));
            let lines = job.logs.len();
            job.logs.drain(..told);
            // Without the log lines: these are told once, and their absence is no change.
            let state = fal.status(&job, &base, false).to_string();
            if state != last || (logs && lines > told) {
                let event = format!("data: {}\n\n", fal.status(&job, &base, logs));
                return Some((Ok::<_, Infallible>(event), (fal, id, base, state, lines, over)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn with_id(mut response: Response, id: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-fal-request-id", value);
    }
    response
}

impl Fal {
    /// Stores a new job; `None` when too many wait on its endpoint.
    fn accept(&self, mut job: Job, longest: Option<usize>) -> Option<Job> {
        self.memory.write(|memory| {
            let waiting = memory
                .jobs
                .values()
                .filter(|other| {
                    matches!(other.state, JobState::Queued) && other.endpoint_id == job.endpoint_id
                })
                .count();
            if longest.is_some_and(|longest| waiting > longest) {
                return None;
            }
            job.number = memory.next_number;
            memory.next_number += 1;
            memory.jobs.insert(job.request_id.clone(), job.clone());
            Some(job)
        })
    }

    /// The status object.
    fn status(&self, job: &Job, base: &str, with_logs: bool) -> Value {
        let mut body = links(job, base);
        let logs = if with_logs { json!(job.logs) } else { Value::Null };
        match &job.state {
            JobState::Queued => {
                body["status"] = "IN_QUEUE".into();
                body["queue_position"] = self.memory.read(|memory| memory.position(job)).into();
            }
            JobState::Running => {
                body["status"] = "IN_PROGRESS".into();
                body["logs"] = logs;
            }
            JobState::Done(outcome) => {
                body["status"] = "COMPLETED".into();
                body["logs"] = logs;
                finished(&mut body, outcome);
            }
        }
        body
    }
}

fn finished(body: &mut Value, outcome: &Outcome) {
    body["metrics"] = if outcome.took_ms > 0 {
        json!({ "inference_time": seconds(outcome.took_ms) })
    } else {
        json!({})
    };
    if let Some(error_type) = &outcome.error_type {
        body["error"] = outcome.body["detail"].clone();
        body["error_type"] = error_type.clone().into();
    }
}

/// Milliseconds as a number of seconds: three decimals, read as a number, `1.204`.
pub(super) fn seconds(ms: i64) -> Value {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    serde_json::from_str(&text).unwrap_or_default()
}
