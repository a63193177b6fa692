//! Where webhooks come in.
//!
//! fal.ai sends one again until it is answered with 2xx, so whatever is signed is answered so, also
//! when it is about a job that has ended long ago.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::board::Board;
use crate::clock::now_ms;
use crate::store::Store;

use super::keys::{Keys, Verdict};
use super::signature::Signed;

/// Results are named by addresses, so bodies are small.
const BODY_MAX: usize = 1024 * 1024;
/// How long a body may take to come.
const READ_MAX: Duration = Duration::from_secs(10);
/// Webhooks that are looked at at once.
const LOOKING_MAX: usize = 32;
/// Digits of a job's token.
const TOKEN_LENGTH: usize = 32;

/// What receives webhooks.
#[derive(Debug)]
struct Receiver {
    keys: Keys,
    store: Store,
    board: Arc<Board>,
    looking: Semaphore,
}

/// What is read of a webhook, once it is known to be fal.ai's.
#[derive(Deserialize)]
struct Hint {
    #[serde(default)]
    request_id: String,
    /// The same, but for what fal.ai ran a second time.
    #[serde(default)]
    gateway_request_id: String,
}

/// `POST /fal/webhook/{token}`.
pub fn routes(keys: Keys, store: Store, board: Arc<Board>) -> Router {
    let receiver = Receiver { keys, store, board, looking: Semaphore::new(LOOKING_MAX) };
    Router::new().route("/fal/webhook/{token}", post(receive)).with_state(Arc::new(receiver))
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let status = look(&receiver, &token, &headers, body).await;
    metrics::counter!("fal_webhooks_total", "status" => status.as_u16().to_string()).increment(1);
    status
}

/// What costs nothing is looked at first: strangers may send anything.
async fn look(receiver: &Receiver, token: &str, headers: &HeaderMap, body: Body) -> StatusCode {
    let is_token = token.len() == TOKEN_LENGTH && token.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_token {
        return StatusCode::NOT_FOUND;
    }
    let Ok(_place) = receiver.looking.try_acquire() else {
        return StatusCode::SERVICE_UNAVAILABLE;
    };
    let Some(signed) = signed(headers) else { return StatusCode::UNAUTHORIZED };
    if !signed.is_fresh(now_ms().div_euclid(1000)) {
        tracing::warn!("a webhook is not of now");
        return StatusCode::UNAUTHORIZED;
    }
    let body = match timeout(READ_MAX, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE,
        Err(_elapsed) => return StatusCode::REQUEST_TIMEOUT,
    };
    match receiver.keys.verify(&signed, &body).await {
        Verdict::Signed => {}
        Verdict::NotSigned => {
            tracing::warn!("a webhook is not signed by fal.ai");
            return StatusCode::UNAUTHORIZED;
        }
        Verdict::Unknown => return StatusCode::SERVICE_UNAVAILABLE,
    }
    let hint: Option<Hint> = serde_json::from_slice(&body).ok();
    let id = hint.map_or_else(String::new, |hint| match hint.gateway_request_id.is_empty() {
        true => hint.request_id,
        false => hint.gateway_request_id,
    });
    match receiver.store.hint(token, &id, now_ms()).await {
        Ok(Some(key)) => {
            tracing::info!(user.id = %key.user, operation.id = %key.operation, "fal.ai says it is done");
            receiver.board.hint(key);
            StatusCode::OK
        }
        Ok(None) => StatusCode::OK,
        Err(error) => {
            let cause = format!("{:#}", anyhow::Error::new(error));
            tracing::warn!(error.cause = %cause, "a webhook could not be stored");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn signed(headers: &HeaderMap) -> Option<Signed<'_>> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    Some(Signed {
        request_id: text("x-fal-webhook-request-id")?,
        user_id: text("x-fal-webhook-user-id")?,
        timestamp: text("x-fal-webhook-timestamp")?,
        signature: text("x-fal-webhook-signature")?,
    })
}
