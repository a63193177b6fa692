//! The platform API, `/v1`: which requests there were, and which endpoints there are.
//!
//! What waits in the queue has not started, and is not listed yet; what was sent is listed from
//! its start on, so who looks for a lost submit has to look more than once.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::emulator::Fal;
use super::endpoints::{ENDPOINTS, Endpoint, Work};
use super::gate::{Asked, answer, has_key};
use super::jobs::{Job, JobState};
use super::queue::seconds;
use crate::seen::{now_ms, parse_timestamp, timestamp};

/// How many requests a page has, unless the caller says so, and at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 100;
/// The most endpoints that one call names.
const IDS_MAX: usize = 50;
const DAY_MS: i64 = 86_400_000;
/// How far back is looked, and how far for one request.
const WINDOW_MS: i64 = DAY_MS;
const WINDOW_OF_ONE_MS: i64 = 90 * DAY_MS;

/// A refusal in the platform's shape, which is neither the queue's nor the models'.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        let (status, kind) = (StatusCode::BAD_REQUEST, "validation_error");
        Self { status, kind, message: message.into() }
    }
}

/// Everything behind `/v1/`.
pub(super) fn follow(fal: &Fal, asked: &Asked) -> Response {
    let path = asked.segments();
    let done = match (asked.parts.method.as_str(), path.get(1..).unwrap_or_default()) {
        ("GET", ["models"]) => models(asked),
        ("GET", ["models", "requests", "by-endpoint"]) if has_key(fal, asked) => {
            requests(fal, asked)
        }
        ("GET", ["models", "requests", "by-endpoint"]) => Err(Refusal {
            status: StatusCode::UNAUTHORIZED,
            kind: "authorization_error",
            message: "Authentication required".to_owned(),
        }),
        _ => Err(Refusal {
            status: StatusCode::NOT_FOUND,
            kind: "not_found",
            message: "Resource not found".to_owned(),
        }),
    };
    match done {
        Ok(body) => answer(StatusCode::OK, body),
        Err(Refusal { status, kind, message }) => {
            answer(status, json!({ "error": { "type": kind, "message": message } }))
        }
    }
}

/// The endpoints that are played, or those of them that are named.
fn models(asked: &Asked) -> Result<Value, Refusal> {
    let named = endpoint_ids(asked)?;
    let is_wanted =
        |endpoint: &&Endpoint| named.is_empty() || named.iter().any(|id| id == endpoint.id);
    let models: Vec<_> = ENDPOINTS.iter().filter(is_wanted).map(model).collect();
    Ok(json!({ "models": models, "next_cursor": null, "has_more": false }))
}

fn model(endpoint: &Endpoint) -> Value {
    let category = match endpoint.work {
        Work::Generate => "text-to-image",
        _ => "image-to-image",
    };
    json!({
        "endpoint_id": endpoint.id,
        "metadata": {
            "display_name": endpoint.id,
            "category": category,
            "status": "active",
        },
    })
}

/// What a caller wants to see of the requests.
struct Wanted {
    endpoints: Vec<String>,
    from_ms: i64,
    to_ms: i64,
    status: Option<String>,
    request_id: Option<String>,
    with_payloads: bool,
    by_duration: bool,
    limit: usize,
    /// From 1.
    page: usize,
}

fn requests(fal: &Fal, asked: &Asked) -> Result<Value, Refusal> {
    let wanted = read(asked)?;
    let mut jobs: Vec<Job> = fal
        .memory
        .read(|memory| memory.jobs.values().filter(|job| wanted.takes(job)).cloned().collect());
    // What still goes on, then what ended last; or what took longest.
    jobs.sort_by_key(|job| {
        let (_, ended) = times(job);
        let rank = if wanted.by_duration { duration(job) } else { Some(ended.unwrap_or(i64::MAX)) };
        std::cmp::Reverse((rank, job.number))
    });
    let begin = (wanted.page - 1).saturating_mul(wanted.limit);
    let has_more = jobs.len() > begin.saturating_add(wanted.limit);
    let page = jobs.iter().skip(begin).take(wanted.limit);
    let items: Vec<_> = page.map(|job| item(job, wanted.with_payloads)).collect();
    let next_cursor = has_more.then(|| STANDARD.encode((wanted.page + 1).to_string()));
    Ok(json!({ "items": items, "next_cursor": next_cursor, "has_more": has_more }))
}

impl Wanted {
    fn takes(&self, job: &Job) -> bool {
        !matches!(job.state, JobState::Queued)
            && self.endpoints.contains(&job.endpoint_id)
            && (self.from_ms..self.to_ms).contains(&job.submitted_ms)
            && self.request_id.as_ref().is_none_or(|id| *id == job.request_id)
            && self.status.as_ref().is_none_or(|wanted| status(job) == Some(wanted))
    }
}

/// Start and end of a job that has started.
fn times(job: &Job) -> (i64, Option<i64>) {
    let ended = match &job.state {
        JobState::Done(outcome) => Some(job.ended_ms.unwrap_or(job.submitted_ms + outcome.took_ms)),
        JobState::Queued | JobState::Running => None,
    };
    // One that never started ended where it would have.
    (job.started_ms.or(ended).unwrap_or(job.submitted_ms), ended)
}

fn duration(job: &Job) -> Option<i64> {
    times(job).1.map(|ended| ended - job.submitted_ms)
}

/// In the words of the filter; `None` while it goes on.
fn status(job: &Job) -> Option<&'static str> {
    match &job.state {
        JobState::Queued | JobState::Running => None,
        JobState::Done(outcome) => Some(match outcome.status {
            200..=299 => "success",
            400..=499 => "user_error",
            _ => "error",
        }),
    }
}

fn item(job: &Job, with_payloads: bool) -> Value {
    let (started, ended) = times(job);
    let outcome = match &job.state {
        JobState::Done(outcome) => Some(outcome),
        JobState::Queued | JobState::Running => None,
    };
    let mut item = json!({
        "request_id": job.request_id,
        "endpoint_id": job.endpoint_id,
        "sent_at": timestamp(job.submitted_ms),
        "started_at": timestamp(started),
        "ended_at": ended.map(timestamp),
        "status_code": outcome.map(|outcome| outcome.status),
        "duration": duration(job).map(seconds),
    });
    if with_payloads {
        item["json_input"] = job.input.clone();
        item["json_output"] = outcome.map_or(Value::Null, |outcome| outcome.body.clone());
    }
    item
}

fn read(asked: &Asked) -> Result<Wanted, Refusal> {
    let endpoints = endpoint_ids(asked)?;
    if endpoints.is_empty() {
        return Err(Refusal::invalid("endpoint_id is required"));
    }
    let request_id = asked.query("request_id");
    if request_id.as_ref().is_some_and(|id| Uuid::parse_str(id).is_err()) {
        return Err(Refusal::invalid("request_id is a UUID"));
    }
    let now = now_ms();
    let window = if request_id.is_some() { WINDOW_OF_ONE_MS } else { WINDOW_MS };
    let one_of = |name: &str, known: &[&str]| match asked.query(name) {
        Some(text) if !known.contains(&text.as_str()) => {
            Err(Refusal::invalid(format!("{name} is one of {}", known.join(", "))))
        }
        text => Ok(text),
    };
    let expand = listed(asked, "expand");
    if expand.iter().any(|field| field != "payloads") {
        return Err(Refusal::invalid("expand can be payloads"));
    }
    Ok(Wanted {
        endpoints,
        from_ms: moment(asked, "start")?.unwrap_or(now - window),
        // Exclusive, and what was accepted in this millisecond was accepted before the question.
        to_ms: moment(asked, "end")?.unwrap_or(now + 1),
        status: one_of("status", &["success", "error", "user_error"])?,
        request_id,
        with_payloads: !expand.is_empty(),
        by_duration: one_of("sort_by", &["ended_at", "duration"])?.as_deref() == Some("duration"),
        limit: limit(asked)?,
        page: page(asked)?,
    })
}

fn endpoint_ids(asked: &Asked) -> Result<Vec<String>, Refusal> {
    let ids = listed(asked, "endpoint_id");
    if ids.len() > IDS_MAX {
        return Err(Refusal::invalid(format!("at most {IDS_MAX} endpoint ids")));
    }
    Ok(ids)
}

/// Values of a field that comes several times, or once with commas.
fn listed(asked: &Asked, name: &str) -> Vec<String> {
    let values = asked.queries(name);
    let parts = values.iter().flat_map(|value| value.split(','));
    parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A moment, or a day's beginning.
fn moment(asked: &Asked, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = asked.query(name) else { return Ok(None) };
    let read = parse_timestamp(&text).or_else(|| parse_timestamp(&format!("{text}T00:00:00Z")));
    match read {
        Some(ms) => Ok(Some(ms)),
        None => Err(Refusal::invalid(format!("{name} is a date, or a date and time"))),
    }
}

fn limit(asked: &Asked) -> Result<usize, Refusal> {
    match asked.query("limit").map(|text| text.parse()) {
        None => Ok(PAGE),
        Some(Ok(limit @ 1..=PAGE_MAX)) => Ok(limit),
        Some(_) => Err(Refusal::invalid(format!("limit is a number from 1 to {PAGE_MAX}"))),
    }
}

/// The number of the page, which the cursor holds.
fn page(asked: &Asked) -> Result<usize, Refusal> {
    let Some(cursor) = asked.query("cursor") else { return Ok(1) };
    let bytes = STANDARD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let page = text.and_then(|text| text.parse().ok()).filter(|page| *page >= 1);
    page.ok_or_else(|| Refusal::invalid("the cursor is not one of ours"))
}
