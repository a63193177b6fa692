//! A method's parameters, however they were sent: query, form, JSON or multipart.
//!
//! As in the real server every value is kept as text; a value that JSON gave as something else is
//! the text of that JSON.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Multipart};
use axum::http::{Request, header};
use bytes::Bytes;
use serde_json::Value;
use url::form_urlencoded;

use super::error::Refusal;

/// What the real server takes of a body: files of 50 MB and the rest of a form.
pub(super) const BODY_BYTES_MAX: usize = 52 * 1024 * 1024;

/// A file in a form.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) file_name: String,
    pub(super) mime_type: Option<String>,
    pub(super) bytes: Bytes,
}

/// Values and files by the names of their fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    values: BTreeMap<String, String>,
    files: BTreeMap<String, Upload>,
}

impl Params {
    /// Reads a request's query and body.
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Refusal> {
        let mut params = Self::default();
        params.add_pairs(request.uri().query().unwrap_or_default().as_bytes());
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if content_type.starts_with("multipart/form-data") {
            params.add_multipart(request).await?;
            return Ok(params);
        }
        let body = to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|_| Refusal::too_large())?;
        if content_type.starts_with("application/json") {
            params.add_json(&body)?;
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            params.add_pairs(&body);
        }
        Ok(params)
    }

    /// Parameters that were not sent over HTTP.
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let values = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Self { values: values.collect(), files: BTreeMap::new() }
    }

    fn add_pairs(&mut self, encoded: &[u8]) {
        for (name, value) in form_urlencoded::parse(encoded) {
            self.values.insert(name.into_owned(), value.into_owned());
        }
    }

    fn add_json(&mut self, body: &[u8]) -> Result<(), Refusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Err(Refusal::bad("can't parse request parameters: object expected"));
        };
        for (name, value) in fields {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            self.values.insert(name, text);
        }
        Ok(())
    }

    async fn add_multipart(&mut self, request: Request<Body>) -> Result<(), Refusal> {
        let unreadable = |_| Refusal::bad("can't parse multipart form");
        let mut form = Multipart::from_request(request, &())
            .await
            .map_err(|_| Refusal::bad("boundary is not found in the content type"))?;
        let mut size = 0;
        while let Some(part) = form.next_field().await.map_err(unreadable)? {
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            let mime_type = part.content_type().map(str::to_owned);
            let bytes = part.bytes().await.map_err(unreadable)?;
            size += bytes.len();
            if size > BODY_BYTES_MAX {
                return Err(Refusal::too_large());
            }
            match file_name {
                Some(file_name) => {
                    self.files.insert(name, Upload { file_name, mime_type, bytes });
                }
                None => {
                    let text = String::from_utf8(bytes.into())
                        .map_err(|_| Refusal::bad("strings must be encoded in UTF-8"))?;
                    self.values.insert(name, text);
                }
            }
        }
        Ok(())
    }

    /// A value as it was sent; an empty one counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A number; what is not one counts as none, as in the real server.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// A yes or no.
    pub(super) fn flag(&self, name: &str) -> bool {
        let yes = ["true", "yes", "1"];
        self.text(name).is_some_and(|text| yes.contains(&text.to_ascii_lowercase().as_str()))
    }

    /// A value that is JSON text; `what` is how the refusal calls it.
    pub(super) fn json(&self, name: &str, what: &str) -> Result<Option<Value>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        serde_json::from_str(text)
            .map(Some)
            .map_err(|_| Refusal::bad(format_args!("can't parse {what} JSON object")))
    }

    /// An uploaded file.
    pub(super) fn file(&self, name: &str) -> Option<&Upload> {
        self.files.get(name)
    }
}
