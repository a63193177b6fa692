//! The route table.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::rate::{Door, limit};
use crate::return_page::{ReturnPage, show};
use crate::webhook::{Webhook, receive};

/// Which path goes where, and how often one address may ask for it. Anything else is 404, another
/// method 405.
pub fn routes(
    (webhook, webhook_door): (Webhook, Door),
    (page, page_door): (ReturnPage, Door),
) -> Router {
    let receive = post(receive).layer(from_fn_with_state(webhook_door, limit));
    let show = get(show).layer(from_fn_with_state(page_door, limit));
    Router::new()
        .route("/yookassa/webhook", receive.with_state(webhook))
        .route("/return", show.with_state(page))
        .route("/yookassa/health", get(health))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
}

async fn health() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#)
}
