//! How a caller reached us, so that links in an answer lead back the same way.

use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use http::HeaderMap;
use http::header::HOST;
use http::request::Parts;

use crate::settings::Scheme;

/// Scheme and host of the request, no slash at the end.
pub fn origin(parts: &Parts) -> String {
    let scheme = parts.extensions.get::<Scheme>().copied().unwrap_or(Scheme::Http);
    // HTTP/2 carries the host in the URI, HTTP/1.1 in a header.
    let host = header(&parts.headers, HOST.as_str())
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("127.0.0.1");
    format!("{}://{host}", scheme.as_str())
}

/// A header that is there and readable.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Marks an answer that is not one.
#[derive(Clone, Copy, Debug)]
pub struct HungUp;

/// Closes the connection without an answer: hyper has not flushed the head of a response when the
/// first read of its body fails.
pub fn hang_up() -> Response {
    let broken = stream::once(async {
        Err::<&'static [u8], _>(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    let mut response = Response::new(Body::from_stream(broken));
    response.extensions_mut().insert(HungUp);
    response
}
