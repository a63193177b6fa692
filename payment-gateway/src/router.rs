//! The route table.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::webhook::{Webhook, receive};

/// A payment with all its fields is about two kilobytes.
const BODY_BYTES_MAX: usize = 128 * 1024;

/// Which path goes where. Anything else is 404, another method 405.
pub fn routes(webhook: Webhook) -> Router {
    Router::new()
        .route("/yookassa/webhook", post(receive))
        .route("/yookassa/health", get(health))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(webhook)
}

async fn health() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#)
}
