//! What fal.ai's refusals mean for a job.

use reqwest::StatusCode;

use crate::domain::{Failure, FailureReason};

use super::wire::{Detail, ErrorBody};

/// Refusals of the content. They are the user's to know, and no fault of anybody.
const CONTENT: [&str; 2] = ["content_policy_violation", "no_media_generated"];

/// Refusals of what the user sent. Other types of a 422 mean that our request was wrong.
const BAD_INPUT: [&str; 11] = [
    "image_too_small",
    "image_too_large",
    "image_load_error",
    "file_download_error",
    "file_too_large",
    "unsupported_image_format",
    "string_too_long",
    "string_too_short",
    "sequence_too_long",
    "sequence_too_short",
    "feature_not_supported",
];

const NO_FACE: &str = "face_detection_error";

/// The provider has no room for it.
const OVERLOADED: [&str; 2] = ["runner_scheduling_failure", "concurrent_requests_limit"];

const TIMEOUTS: [&str; 3] = ["request_timeout", "startup_timeout", "generation_timeout"];

/// Why a submit was not answered with a request.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Certain: not a byte was sent, or it was refused for now. It may be sent again.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Certain: the account may not use the provider at all.
    #[error("fal.ai refuses the account: HTTP {0}")]
    Stopped(u16),
    /// Certain: this request will never be taken.
    #[error("refused: {0}")]
    Refused(Failure),
    /// It may have the work, or not.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// Why a read was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The same read may succeed later.
    #[error("not answered: {0}")]
    Retry(String),
    /// The provider does not know the thing, or does not let us see it.
    #[error("refused: HTTP {0}")]
    Refused(u16),
}

impl ReadError {
    /// Whether the same would be refused again.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// The first error type of a body, and whether it is one of fal's own bodies at all.
pub(super) fn error_type(body: &[u8]) -> (Option<String>, bool) {
    let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else { return (None, false) };
    let from_fal = body.detail.is_some() || body.error_type.is_some();
    let first = match body.detail {
        Some(Detail::List(items)) => items.into_iter().next().map(|item| item.kind),
        Some(Detail::Text(_)) | None => None,
    };
    (body.error_type.or(first).filter(|kind| !kind.is_empty()), from_fal)
}

/// What a refused result means. `timed_out` says that our start deadline caused it.
pub(super) fn failure(status: StatusCode, kind: Option<&str>, timed_out: bool) -> Failure {
    let reason = match kind {
        Some(kind) if CONTENT.contains(&kind) => FailureReason::ContentRefused,
        Some(NO_FACE) => FailureReason::NoFace,
        Some(kind) if OVERLOADED.contains(&kind) => FailureReason::Overloaded,
        None if status == StatusCode::TOO_MANY_REQUESTS => FailureReason::Overloaded,
        Some(kind) if TIMEOUTS.contains(&kind) => FailureReason::TimedOut,
        Some(kind) if status.is_client_error() && BAD_INPUT.contains(&kind) => {
            FailureReason::BadInput
        }
        _ if timed_out => FailureReason::TimedOut,
        // A plain sentence of a model that has no types: it is about what it was given.
        None if status == StatusCode::UNPROCESSABLE_ENTITY => FailureReason::BadInput,
        _ => FailureReason::ProviderFailed,
    };
    let code = format!("http_{}", status.as_u16());
    Failure::new(reason, kind.unwrap_or(&code))
}

/// What a status means that says itself that the work failed.
pub(super) fn failure_of_status(kind: Option<&str>) -> Failure {
    // A model's own types come with a 422; one that says nothing is nobody's but the provider's.
    failure(StatusCode::UNPROCESSABLE_ENTITY, kind.or(Some("failed")), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, reason: FailureReason, detail: &str) {
        let (kind, _) = error_type(body.as_bytes());
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(
            failure(status, kind.as_deref(), false),
            Failure { reason, detail: detail.to_owned() },
            "{status} {body}"
        );
    }

    #[test]
    fn each_refusal_has_its_reason() {
        use FailureReason::{
            BadInput, ContentRefused, NoFace, Overloaded, ProviderFailed, TimedOut,
        };

        let typed =
            |kind: &str| format!(r#"{{"detail":[{{"loc":[],"msg":"m","type":"{kind}"}}]}}"#);
        for kind in CONTENT {
            check(422, &typed(kind), ContentRefused, kind);
        }
        for kind in BAD_INPUT {
            check(422, &typed(kind), BadInput, kind);
        }
        check(422, &typed("face_detection_error"), NoFace, "face_detection_error");
        let no_runner = r#"{"detail":"x","error_type":"runner_scheduling_failure"}"#;
        check(503, no_runner, Overloaded, "runner_scheduling_failure");
        check(429, r#"{"detail":"slow down"}"#, Overloaded, "http_429");
        check(422, &typed("missing"), ProviderFailed, "missing");
        check(422, &typed("greater_than_equal"), ProviderFailed, "greater_than_equal");
        check(422, r#"{"detail":"no"}"#, BadInput, "http_422");
        check(500, &typed("internal_server_error"), ProviderFailed, "internal_server_error");
        check(504, &typed("generation_timeout"), TimedOut, "generation_timeout");
        let flat = r#"{"detail":"Request timed out","error_type":"request_timeout"}"#;
        check(504, flat, TimedOut, "request_timeout");
        let gone = r#"{"detail":"x","error_type":"client_cancelled"}"#;
        check(499, gone, ProviderFailed, "client_cancelled");
        check(503, "<html>nginx</html>", ProviderFailed, "http_503");
        check(400, &typed("downstream_service_error"), ProviderFailed, "downstream_service_error");
    }

    #[test]
    fn our_start_deadline_is_a_time_out() {
        let late = failure(StatusCode::GATEWAY_TIMEOUT, None, true);
        assert_eq!(late.reason, FailureReason::TimedOut);
    }

    #[test]
    fn an_ingress_page_is_not_from_fal() {
        assert_eq!(error_type(b"<html>502 nginx</html>"), (None, false));
        assert_eq!(error_type(br#"{"detail":"x"}"#), (None, true));
    }
}
