//! Refusals, spelled as Telegram spells them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a method was not carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    code: u16,
    description: String,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None }
    }

    /// 400; `problem` follows `Bad Request: `.
    pub(super) fn bad(problem: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Bad Request: {problem}"))
    }

    /// 401: not the token of the bot.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized")
    }

    /// 403: the user does not want to hear from the bot.
    pub(super) fn blocked() -> Self {
        Self::new(403, "Forbidden: bot was blocked by the user")
    }

    /// 404: no such method, no such file, or not a token at all.
    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    /// 409; `problem` follows `Conflict: `.
    pub(super) fn conflict(problem: &str) -> Self {
        Self::new(409, format!("Conflict: {problem}"))
    }

    /// 413: the body is larger than any method takes.
    pub(super) fn too_large() -> Self {
        Self::new(413, "Request Entity Too Large")
    }

    /// 429: come back in so many seconds.
    pub(super) fn too_many(retry_after: u64) -> Self {
        Self {
            code: 429,
            description: format!("Too Many Requests: retry after {retry_after}"),
            retry_after: Some(retry_after),
        }
    }

    /// What is said after the code, for errors that quote another one.
    pub(super) fn problem(&self) -> &str {
        self.description.strip_prefix("Bad Request: ").unwrap_or(&self.description)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::BAD_REQUEST);
        let mut body =
            json!({"ok": false, "error_code": self.code, "description": self.description});
        if let Some(seconds) = self.retry_after {
            body["parameters"] = json!({"retry_after": seconds});
        }
        (status, Json(body)).into_response()
    }
}
