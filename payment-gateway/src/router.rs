//! The route table.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::webhook::{Webhook, receive};

/// Which path goes where. Anything else is 404, another method 405.
pub fn routes(webhook: Webhook) -> Router {
    Router::new()
        .route("/yookassa/webhook", post(receive))
        .route("/yookassa/health", get(health))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .with_state(webhook)
}

async fn health() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#)
}
