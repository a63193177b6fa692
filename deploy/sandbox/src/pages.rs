//! The chat page, embedded: no build step, nothing from elsewhere.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// What the page may load and run: its own files only.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router {
    let html = ("text/html; charset=utf-8", include_str!("../assets/chat.html"));
    let css = ("text/css; charset=utf-8", include_str!("../assets/chat.css"));
    let js = ("text/javascript; charset=utf-8", include_str!("../assets/chat.js"));
    let icon = ("image/svg+xml", include_str!("../assets/icon.svg"));
    Router::new()
        .route("/", get(move || async move { asset(html) }))
        .route("/chat.css", get(move || async move { asset(css) }))
        .route("/chat.js", get(move || async move { asset(js) }))
        .route("/icon.svg", get(move || async move { asset(icon) }))
}

fn asset((content_type, body): (&'static str, &'static str)) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body)
}
