//! The queue: submit, status, result, cancel.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::domain::{Failure, FailureReason, FalRequest, Submission, Units};

use super::client::{
    BODY_MAX, Fal, READ_TIMEOUT, SUBMIT_TIMEOUT, below, cause, count, is_loopback, read_body,
};
use super::error::{ReadError, SubmitError, error_type, failure, failure_of_status};
use super::wire::{Output, QueueStatus};

const REQUEST_ID: &str = "x-fal-request-id";
const BILLABLE_UNITS: &str = "x-fal-billable-units";
const TIMEOUT_TYPE: &str = "x-fal-request-timeout-type";
/// How long fal keeps what it made; it is fetched at once.
const OUTPUT_LIFE: &str = r#"{"expiration_duration_seconds":86400}"#;
/// The shortest start deadline that fal's own clients send, in seconds.
const START_TIMEOUT_MIN: u64 = 2;

/// Where a request stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Waits; so many are before it, where fal says so.
    InQueue(Option<i32>),
    /// Being worked on; also where fal says what we do not know.
    InProgress,
    /// Over: the result says how. Where the status itself says that it failed, this is why.
    Completed(Option<Failure>),
}

/// What a request's result is.
#[derive(Debug)]
pub enum ResultAnswer {
    /// A picture.
    Picture {
        /// Where it lies, or the picture itself as a `data:` address.
        url: String,
        /// What fal charges for it, if it says so.
        units: Option<Units>,
    },
    /// None, for good.
    Failed {
        /// Why.
        why: Failure,
        /// fal.ai charges nothing for it: its own failures are not billed.
        is_unpaid: bool,
    },
    /// Not yet.
    NotYet,
}

/// What a cancel came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cancelled {
    /// It was asked for.
    Requested,
    /// There is a result already.
    AlreadyCompleted,
    /// No answer, or the request is not known.
    NotKnown,
}

impl Fal {
    /// Submits, once. `start_within` bounds how long it may wait to be started.
    ///
    /// # Errors
    /// Says whether fal may have the work.
    pub async fn submit(
        &self,
        submission: &Submission,
        start_within: Duration,
    ) -> Result<FalRequest, SubmitError> {
        let since = Instant::now();
        let done = self.submit_uncounted(submission, start_within).await;
        let outcome = match &done {
            Ok(_) => "ok",
            Err(SubmitError::NotSent(_)) => "not_sent",
            Err(SubmitError::Stopped(_)) => "stopped",
            Err(SubmitError::Refused(_)) => "refused",
            Err(SubmitError::Unknown(_)) => "unknown",
        };
        count("submit", outcome, since);
        done
    }

    async fn submit_uncounted(
        &self,
        submission: &Submission,
        start_within: Duration,
    ) -> Result<FalRequest, SubmitError> {
        let webhook = self.urls.webhook.as_ref().zip(submission.webhook_token.as_deref());
        let query = webhook
            .map(|(base, token)| ("fal_webhook", below(base, &format!("fal/webhook/{token}"))));
        let request = self
            .submitting
            .post(below(&self.urls.queue, &submission.endpoint))
            .query(query.as_slice())
            .timeout(SUBMIT_TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .header("x-fal-request-timeout", start_within.as_secs().max(START_TIMEOUT_MIN))
            .header("x-fal-object-lifecycle-preference", OUTPUT_LIFE)
            .body(submission.body.clone());
        let response = match self.with_key(request, submission.key_index).send().await {
            Ok(response) => response,
            // No connection was made, so nothing was sent over it.
            Err(error) if error.is_connect() => return Err(SubmitError::NotSent(cause(error))),
            Err(error) => return Err(SubmitError::Unknown(cause(error))),
        };
        let status = response.status();
        let id_header = header(&response, REQUEST_ID);
        let body = read_body(response, BODY_MAX).await;
        if status.is_success() {
            let reply = body.ok().and_then(|body| QueueStatus::read(&body)).unwrap_or_default();
            return match reply.request_id.clone().or(id_header).filter(|id| is_plain(id)) {
                Some(id) => Ok(self.request(&submission.endpoint, id, &reply)),
                None => Err(SubmitError::Unknown("the answer names no request".to_owned())),
            };
        }
        let (kind, _) = error_type(&body.unwrap_or_default());
        Err(match status.as_u16() {
            401 | 403 => SubmitError::Stopped(status.as_u16()),
            429 => SubmitError::NotSent("HTTP 429".to_owned()),
            408 | 500..=599 => SubmitError::Unknown(format!("HTTP {}", status.as_u16())),
            _ => SubmitError::Refused(failure(status, kind.as_deref(), false)),
        })
    }

    /// A request of this id, with the addresses of a reply where they are on our queue.
    fn request(&self, endpoint: &str, id: String, reply: &QueueStatus) -> FalRequest {
        let base = below(&self.urls.queue, &format!("{}/requests/{id}", app(endpoint)));
        let ours = |url: &Option<String>, rebuilt: String| match url {
            Some(url) if self.is_on_queue(url) => url.clone(),
            _ => rebuilt,
        };
        FalRequest {
            status_url: ours(&reply.status_url, format!("{base}/status")),
            response_url: ours(&reply.response_url, base.clone()),
            cancel_url: ours(&reply.cancel_url, format!("{base}/cancel")),
            id,
        }
    }

    /// A request that is known by its id alone; `None` where that cannot be one.
    pub fn rebuilt(&self, endpoint: &str, id: String) -> Option<FalRequest> {
        is_plain(&id).then(|| self.request(endpoint, id, &QueueStatus::default()))
    }

    fn is_on_queue(&self, url: &str) -> bool {
        // What runs on this machine has several names for itself.
        let is_ours = |url: &Url| {
            url.origin() == self.urls.queue.origin()
                || is_loopback(url) && is_loopback(&self.urls.queue)
        };
        Url::parse(url).is_ok_and(|url| is_ours(&url))
    }

    /// Reads where a request stands.
    ///
    /// # Errors
    /// When fal does not answer, or does not know the request.
    pub async fn status(&self, request: &FalRequest, key: i64) -> Result<Progress, ReadError> {
        let since = Instant::now();
        let done = self.status_uncounted(request, key).await;
        count("status", read_outcome(&done), since);
        done
    }

    async fn status_uncounted(
        &self,
        request: &FalRequest,
        key: i64,
    ) -> Result<Progress, ReadError> {
        let call = self.http.get(&request.status_url).timeout(READ_TIMEOUT);
        let response = self.with_key(call, key).send().await.map_err(retry)?;
        let status = response.status();
        if !status.is_success() {
            return Err(refusal(status));
        }
        let body = read_body(response, BODY_MAX).await;
        let body = body.map_err(|error| ReadError::Retry(error.to_string()))?;
        let reply = QueueStatus::read(&body)
            .ok_or_else(|| ReadError::Retry("the status cannot be read".to_owned()))?;
        let failed = || Some(failure_of_status(reply.error_type.as_deref()));
        Ok(match reply.status.as_deref() {
            Some("COMPLETED") if reply.has_error => Progress::Completed(failed()),
            Some("COMPLETED") => Progress::Completed(None),
            // fal has no such states; whoever has them means that it is over.
            Some("FAILED" | "ERROR" | "CANCELLED" | "CANCELED") => Progress::Completed(failed()),
            Some("IN_QUEUE") => {
                let position = reply.queue_position.and_then(|nth| i32::try_from(nth).ok());
                Progress::InQueue(position.filter(|nth| *nth >= 0))
            }
            _ => Progress::InProgress,
        })
    }

    /// Reads the result of a request. It can be read again until fal drops it.
    ///
    /// # Errors
    /// When fal does not answer, or does not know the request.
    pub async fn result(&self, request: &FalRequest, key: i64) -> Result<ResultAnswer, ReadError> {
        let since = Instant::now();
        let done = self.result_uncounted(request, key).await;
        let outcome = match &done {
            Ok(ResultAnswer::Failed { why, .. }) => why.reason.name(),
            Ok(ResultAnswer::NotYet) => "not_yet",
            _ => read_outcome(&done),
        };
        count("result", outcome, since);
        done
    }

    async fn result_uncounted(
        &self,
        request: &FalRequest,
        key: i64,
    ) -> Result<ResultAnswer, ReadError> {
        let call = self.http.get(&request.response_url).timeout(READ_TIMEOUT * 2);
        let response = self.with_key(call, key).send().await.map_err(retry)?;
        let status = response.status();
        let units = header(&response, BILLABLE_UNITS).and_then(|text| Units::parse(&text));
        let marked = header(&response, REQUEST_ID).is_some();
        let timed_out = header(&response, TIMEOUT_TYPE).is_some();
        let body = read_body(response, BODY_MAX).await;
        let body = body.map_err(|error| ReadError::Retry(error.to_string()))?;
        if status == StatusCode::ACCEPTED || is_in_progress(status, &body) {
            return Ok(ResultAnswer::NotYet);
        }
        if status.is_success() {
            return output(&body, units);
        }
        let (kind, from_fal) = error_type(&body);
        match status.as_u16() {
            401 | 403 | 404 | 408 | 429 => Err(refusal(status)),
            // An ingress that fails says nothing about the job.
            500..=599 if !marked && !from_fal => Err(refusal(status)),
            _ => Ok(ResultAnswer::Failed {
                why: failure(status, kind.as_deref(), timed_out),
                is_unpaid: status.is_server_error() && units.is_none_or(Units::is_zero),
            }),
        }
    }

    /// Asks fal to stop working on a request.
    pub async fn cancel(&self, request: &FalRequest, key: i64) -> Cancelled {
        let since = Instant::now();
        let call = self.http.put(&request.cancel_url).timeout(READ_TIMEOUT);
        let status = self.with_key(call, key).send().await.map(|response| response.status());
        let done = match status {
            Ok(status) if status.is_success() => Cancelled::Requested,
            Ok(StatusCode::BAD_REQUEST) => Cancelled::AlreadyCompleted,
            Ok(_) | Err(_) => Cancelled::NotKnown,
        };
        let outcome = if done == Cancelled::NotKnown { "failed" } else { "ok" };
        count("cancel", outcome, since);
        done
    }
}

/// The endpoint without its sub-path: `owner/alias`, or three parts for workflows.
fn app(endpoint: &str) -> String {
    let parts =
        if endpoint.starts_with("workflows/") || endpoint.starts_with("comfy/") { 3 } else { 2 };
    endpoint.split('/').take(parts).collect::<Vec<_>>().join("/")
}

/// Whether an id can stand in an address as it is.
fn is_plain(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn retry(error: reqwest::Error) -> ReadError {
    ReadError::Retry(cause(error))
}

fn refusal(status: StatusCode) -> ReadError {
    match status.as_u16() {
        408 | 429 | 500..=599 => ReadError::Retry(format!("HTTP {}", status.as_u16())),
        code => ReadError::Refused(code),
    }
}

fn read_outcome<T>(done: &Result<T, ReadError>) -> &'static str {
    match done {
        Ok(_) => "ok",
        Err(ReadError::Retry(_)) => "retry",
        Err(ReadError::Refused(_)) => "refused",
    }
}

/// `400 {"detail":"Request is still in progress"}`: the one case where fal has no type to go by.
fn is_in_progress(status: StatusCode, body: &[u8]) -> bool {
    let says_so = |body: Value| {
        let detail = body.get("detail")?.as_str()?.to_ascii_lowercase();
        Some(detail.contains("in progress") || detail.contains("in queue"))
    };
    status == StatusCode::BAD_REQUEST
        && serde_json::from_slice(body).ok().and_then(says_so).unwrap_or(false)
}

fn output(body: &[u8], units: Option<Units>) -> Result<ResultAnswer, ReadError> {
    let output = Output::read(body)
        .ok_or_else(|| ReadError::Retry("the result cannot be read".to_owned()))?;
    if output.is_unsafe() {
        let refused = Failure::new(FailureReason::ContentRefused, "has_nsfw_concepts");
        return Ok(ResultAnswer::Failed { why: refused, is_unpaid: false });
    }
    Ok(match output.first_url() {
        Some(url) => ResultAnswer::Picture { url: url.to_owned(), units },
        // It may have been charged.
        None => ResultAnswer::Failed {
            why: Failure::new(FailureReason::ProviderFailed, "no_picture_in_result"),
            is_unpaid: false,
        },
    })
}

impl Fal {
    /// Whether a file may be fetched from there: over TLS, unless fal itself is asked without.
    pub(super) fn may_fetch(&self, url: &Url) -> bool {
        url.scheme() == "https" || (url.scheme() == "http" && self.urls.queue.scheme() == "http")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fal::{FalKeys, FalUrls};

    fn fal(queue: &str) -> Fal {
        rustls::crypto::ring::default_provider().install_default().ok();
        let url = |text: &str| Url::parse(text).unwrap();
        let urls = FalUrls {
            queue: url(queue),
            rest: url("http://127.0.0.1:1"),
            api: url("http://127.0.0.1:1/v1"),
            webhook: None,
        };
        Fal::new(urls, FalKeys::parse(&"k:s".into()).unwrap()).unwrap()
    }

    #[test]
    fn requests_are_read_below_the_app_and_not_the_endpoint() {
        for (endpoint, expected) in [
            ("fal-ai/nano-banana-2", "fal-ai/nano-banana-2"),
            ("fal-ai/nano-banana-2/edit", "fal-ai/nano-banana-2"),
            ("fal-ai/seedvr/upscale/image", "fal-ai/seedvr"),
            ("workflows/owner/name/x", "workflows/owner/name"),
        ] {
            assert_eq!(app(endpoint), expected);
        }
    }

    #[test]
    fn the_key_is_taken_to_the_configured_queue_only() {
        let fal = fal("http://127.0.0.1:8090/fal");
        let reply = QueueStatus {
            status_url: Some("http://127.0.0.1:8090/fal/theirs/status".to_owned()),
            response_url: Some("https://elsewhere.example/requests/r1".to_owned()),
            cancel_url: Some("http://localhost:8090/fal/theirs/cancel".to_owned()),
            ..QueueStatus::default()
        };

        let request = fal.request("fal-ai/face-swap", "r1".to_owned(), &reply);

        assert_eq!(request.status_url, "http://127.0.0.1:8090/fal/theirs/status");
        assert_eq!(request.response_url, "http://127.0.0.1:8090/fal/fal-ai/face-swap/requests/r1");
        assert_eq!(request.cancel_url, "http://localhost:8090/fal/theirs/cancel");
        let deployed = super::tests::fal("https://queue.fal.run");
        let request = deployed.request("fal-ai/face-swap", "r1".to_owned(), &reply);
        assert_eq!(request.status_url, "https://queue.fal.run/fal-ai/face-swap/requests/r1/status");
    }

    #[test]
    fn a_result_that_is_not_there_yet_is_told_from_a_refused_one() {
        let body = br#"{"detail":"Request is still in progress"}"#;
        assert!(is_in_progress(StatusCode::BAD_REQUEST, body));
        assert!(!is_in_progress(StatusCode::UNPROCESSABLE_ENTITY, body));
        assert!(!is_in_progress(StatusCode::BAD_REQUEST, br#"{"detail":"bad timeout"}"#));
        assert!(!is_in_progress(StatusCode::BAD_REQUEST, b"<html>"));
    }

    #[test]
    fn ids_that_could_leave_their_place_in_an_address_are_not_taken() {
        assert!(is_plain("0b0b6c9e-6a0e-4b56-9d21-0d3a7a7c9a11"));
        for odd in ["", "../x", "a/b", "a?b", "a b"] {
            assert!(!is_plain(odd), "{odd:?}");
        }
    }
}
