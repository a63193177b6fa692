//! Refusals, in YooKassa's words.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

/// A refusal of the API.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    code: &'static str,
    description: String,
    parameter: Option<String>,
}

impl ApiError {
    /// 400: this parameter is wrong.
    pub(super) fn invalid(parameter: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_request",
            description: description.into(),
            parameter: Some(parameter.into()),
        }
    }

    /// 400: the state of the payment does not allow it.
    pub(super) fn wrong_state() -> Self {
        Self::invalid("payment_id", "Incorrect payment_id. Payment doesn't exist or access denied")
    }

    /// 401.
    pub(super) fn credentials() -> Self {
        Self::plain(
            StatusCode::UNAUTHORIZED,
            "invalid_credentials",
            "Error in shopId or secret key. Check their validity. You can reissue the key in the \
             Merchant Profile",
        )
    }

    /// 404.
    pub(super) fn not_found(what: &str) -> Self {
        Self::plain(StatusCode::NOT_FOUND, "not_found", &format!("{what} doesn't exist"))
    }

    /// 405.
    pub(super) fn method() -> Self {
        Self::plain(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "Method not allowed")
    }

    /// 415.
    pub(super) fn content_type() -> Self {
        Self::plain(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "Send Content-Type: application/json",
        )
    }

    /// 429.
    pub(super) fn too_many_requests() -> Self {
        Self::plain(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "Too many requests. Repeat the request later",
        )
    }

    /// 500: the outcome is unknown to the caller.
    pub(super) fn internal() -> Self {
        Self::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_server_error",
            "Technical error. Repeat the request with the same Idempotence-Key",
        )
    }

    fn plain(status: StatusCode, code: &'static str, description: &str) -> Self {
        Self { status, code, description: description.to_owned(), parameter: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "error",
            "id": Uuid::new_v4().to_string(),
            "code": self.code,
            "description": self.description,
        });
        if let Some(parameter) = self.parameter {
            body["parameter"] = parameter.into();
        }
        (self.status, Json(body)).into_response()
    }
}
