//! The one door of the queue, the storage, the CDN and the platform API: which of them is meant,
//! and who may come in.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::emulator::Fal;
use super::{endpoints, platform, queue, storage, webhook};
use crate::caller::{HungUp, header, origin};
use crate::seen::{Call, now_ms, timestamp};

/// A request, on its way to the part that it is for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) parts: Parts,
    pub(super) body: axum::body::Body,
    /// The path behind the prefix, without empty segments.
    pub(super) path: Vec<String>,
    /// Scheme, host and prefix by which the caller came.
    pub(super) base: String,
}

impl Asked {
    /// The path as it can be matched.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// A field of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    /// A field of the query that may come several times.
    pub(super) fn queries(&self, name: &str) -> Vec<String> {
        let query = self.parts.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }
}

pub(super) fn routes(fal: &Arc<Fal>, prefix: &'static str) -> Router {
    let handle = move |State(fal): State<Arc<Fal>>, request: Request| enter(fal, request, prefix);
    Router::new().route(&format!("{prefix}/{{*path}}"), any(handle)).with_state(Arc::clone(fal))
}

async fn enter(fal: Arc<Fal>, request: Request, prefix: &'static str) -> Response {
    let (parts, body) = request.into_parts();
    let (method, whole) = (parts.method.to_string(), parts.uri.path().to_owned());
    let rest = whole.strip_prefix(prefix).unwrap_or(&whole);
    let path = rest.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let base = format!("{}{prefix}", origin(&parts));
    let response = dispatch(&fal, Asked { parts, body, path, base }).await;
    let hung_up = response.extensions().get::<HungUp>().is_some();
    fal.calls.push(Call {
        method,
        path: whole,
        idempotence_key: None,
        status: if hung_up { 0 } else { response.status().as_u16() },
        at: timestamp(now_ms()),
    });
    response
}

async fn dispatch(fal: &Arc<Fal>, asked: Asked) -> Response {
    let path = asked.segments();
    match (asked.parts.method.as_str(), path.as_slice()) {
        (_, ["v1", ..]) => platform::follow(fal, &asked),
        (_, ["files", ..]) => storage::files(fal, asked).await,
        ("PUT" | "POST", ["uploads", ..]) => storage::uploads(fal, asked).await,
        ("POST", ["storage", ..]) => match authorize(fal, &asked, None) {
            Ok(()) => storage::begin(fal, asked).await,
            Err(refusal) => refusal,
        },
        ("GET", [".well-known", "jwks.json"]) => answer(StatusCode::OK, webhook::key_set()),
        ("GET" | "PUT", ["storage" | "uploads", ..]) => method_not_allowed(),
        ("GET" | "PUT", path) if path.contains(&"requests") => {
            let app = endpoints::app(&path.join("/"));
            match authorize(fal, &asked, Some(&app)) {
                Ok(()) => queue::follow(fal, &asked),
                Err(refusal) => refusal,
            }
        }
        ("POST", path) if path.len() >= 2 => {
            let app = endpoints::app(&path.join("/"));
            match authorize(fal, &asked, Some(&app)) {
                Ok(()) => queue::submit(fal, asked).await,
                Err(refusal) => refusal,
            }
        }
        ("POST", _) => refuse(StatusCode::NOT_FOUND, "Application not found"),
        _ if asked.parts.method == Method::GET => refuse(StatusCode::NOT_FOUND, "Not Found"),
        _ => method_not_allowed(),
    }
}

/// A flat refusal.
pub(super) fn refuse(status: StatusCode, detail: &str) -> Response {
    answer(status, json!({ "detail": detail }))
}

/// An answer with a JSON body.
pub(super) fn answer(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

fn method_not_allowed() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

/// The `Authorization` header in its two parts.
fn credentials(asked: &Asked) -> (&str, &str) {
    let given = header(&asked.parts.headers, AUTHORIZATION.as_str()).unwrap_or_default();
    given.split_once(' ').unwrap_or((given, ""))
}

/// Whether the caller has a key that is known. Whitespace around it is not cut: the real one
/// answers 401 too.
pub(super) fn has_key(fal: &Fal, asked: &Asked) -> bool {
    let (scheme, key) = credentials(asked);
    scheme.eq_ignore_ascii_case("key") && fal.settings.fal_keys.iter().any(|known| known == key)
}

#[expect(clippy::result_large_err, reason = "a refusal is the answer itself, passed once")]
fn authorize(fal: &Fal, asked: &Asked, app: Option<&str>) -> Result<(), Response> {
    if has_key(fal, asked) {
        return Ok(());
    }
    let (scheme, key) = credentials(asked);
    if !scheme.eq_ignore_ascii_case("key") {
        let detail = match app {
            Some(app) => format!(
                "Cannot access application \"{app}\". Authentication is required to access this \
                 application."
            ),
            None => "Authentication is required".to_owned(),
        };
        return Err(refuse(StatusCode::UNAUTHORIZED, &detail));
    }
    let detail = match key.split_once(':') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
            "No user found for Key ID and Secret"
        }
        _ => "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'.",
    };
    Err(refuse(StatusCode::UNAUTHORIZED, detail))
}
