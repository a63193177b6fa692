//! Pictures to and from fal.ai: upload before the submit, download of what was made.
//!
//! Invariant: neither the upload's target nor a result's address ever sees the key.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::client::{BODY_MAX, BodyError, Fal, READ_TIMEOUT, below, cause, count, read_body};
use super::error::ReadError;
use super::wire::{InitiateUpload, InitiatedUpload};

/// Of 20 MB over a slow line.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(120);
/// What was uploaded is public; it is needed only until the work is done.
const INPUT_LIFE: &str = r#"{"expiration_duration_seconds":3600}"#;

/// The largest picture that is sent inside a request: ten of them make no more than fal's own
/// clients send, and Telegram's photos are smaller.
const INLINE_MAX: usize = 1024 * 1024;

/// Why a result's picture was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The same download may succeed later.
    #[error("not fetched: {0}")]
    Retry(String),
    /// It never will.
    #[error("cannot be fetched: {0}")]
    Unusable(&'static str),
}

impl Fal {
    /// Uploads a picture; answers with the address that a submit names.
    ///
    /// # Errors
    /// When fal does not answer, or refuses. It can be repeated: nothing refers to an upload.
    pub async fn upload(
        &self,
        bytes: Bytes,
        content_type: &str,
        key: i64,
    ) -> Result<String, ReadError> {
        let since = Instant::now();
        let done = self.upload_uncounted(bytes, content_type, key).await;
        let outcome = match &done {
            Ok(_) => "ok",
            Err(ReadError::Retry(_)) => "retry",
            Err(ReadError::Refused(_)) => "refused",
        };
        count("upload", outcome, since);
        done
    }

    async fn upload_uncounted(
        &self,
        bytes: Bytes,
        content_type: &str,
        key: i64,
    ) -> Result<String, ReadError> {
        let extension = content_type.strip_prefix("image/").unwrap_or("png");
        let file_name = format!("input.{extension}");
        let place = below(&self.urls.rest, "storage/upload/initiate?storage_type=fal-cdn-v3");
        let call = self
            .http
            .post(place)
            .timeout(READ_TIMEOUT)
            .header("x-fal-object-lifecycle", INPUT_LIFE)
            .json(&InitiateUpload { content_type, file_name: &file_name });
        let response = self.with_key(call, key).send().await.map_err(retry)?;
        let status = response.status();
        let body = read_body(response, BODY_MAX).await;
        let body = body.map_err(|error| ReadError::Retry(error.to_string()))?;
        checked(status)?;
        let place: InitiatedUpload = serde_json::from_slice(&body)
            .map_err(|_| ReadError::Retry("the upload's place cannot be read".to_owned()))?;
        let sent = self
            .http
            .put(&place.upload_url)
            .timeout(TRANSFER_TIMEOUT)
            .header(CONTENT_TYPE, content_type)
            .body(bytes)
            .send()
            .await
            .map_err(retry)?;
        checked(sent.status())?;
        Ok(place.file_url)
    }

    /// The picture as an address of its own, for where the storage does not take it; `None` where
    /// it is too large to be sent inside a request.
    pub fn inline(bytes: &Bytes, content_type: &str) -> Option<String> {
        (bytes.len() <= INLINE_MAX)
            .then(|| format!("data:{content_type};base64,{}", STANDARD.encode(bytes)))
    }

    /// Fetches what was made, of at most `max` bytes.
    ///
    /// # Errors
    /// Says whether another try can help.
    pub async fn download(&self, url: &str, max: usize) -> Result<Bytes, DownloadError> {
        let since = Instant::now();
        let done = match url.strip_prefix("data:") {
            Some(inline) => decode(inline, max),
            None => self.download_uncounted(url, max).await,
        };
        let outcome = match &done {
            Ok(_) => "ok",
            Err(DownloadError::Retry(_)) => "retry",
            Err(DownloadError::Unusable(_)) => "refused",
        };
        count("download", outcome, since);
        done
    }

    async fn download_uncounted(&self, url: &str, max: usize) -> Result<Bytes, DownloadError> {
        let url = Url::parse(url).map_err(|_| DownloadError::Unusable("address_unreadable"))?;
        if !self.may_fetch(&url) {
            return Err(DownloadError::Unusable("address_not_https"));
        }
        let response = self
            .files
            .get(url)
            .timeout(TRANSFER_TIMEOUT)
            .send()
            .await
            .map_err(|error| DownloadError::Retry(cause(error)))?;
        let status = response.status();
        if !status.is_success() {
            // A file that was made a moment ago may not be everywhere yet.
            return Err(DownloadError::Retry(format!("HTTP {}", status.as_u16())));
        }
        match read_body(response, max).await {
            Ok(body) => Ok(Bytes::from(body)),
            Err(BodyError::TooLarge) => Err(DownloadError::Unusable("result_too_large")),
            Err(BodyError::Broken(error)) => Err(DownloadError::Retry(cause(error))),
        }
    }
}

/// `<type>;base64,<bytes>`.
fn decode(inline: &str, max: usize) -> Result<Bytes, DownloadError> {
    let (_, encoded) = inline
        .split_once(";base64,")
        .ok_or(DownloadError::Unusable("inline_picture_unreadable"))?;
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|_| DownloadError::Unusable("inline_picture_unreadable"))?;
    if bytes.len() > max {
        return Err(DownloadError::Unusable("result_too_large"));
    }
    Ok(Bytes::from(bytes))
}

fn retry(error: reqwest::Error) -> ReadError {
    ReadError::Retry(cause(error))
}

fn checked(status: StatusCode) -> Result<(), ReadError> {
    match status.as_u16() {
        200..=299 => Ok(()),
        code @ (408 | 429 | 500..=599) => Err(ReadError::Retry(format!("HTTP {code}"))),
        code => Err(ReadError::Refused(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_can_be_its_own_address() {
        let address = Fal::inline(&Bytes::from_static(b"ABC"), "image/png");
        assert_eq!(address.as_deref(), Some("data:image/png;base64,QUJD"));
        assert_eq!(Fal::inline(&Bytes::from(vec![0; INLINE_MAX + 1]), "image/png"), None);
    }

    #[test]
    fn pictures_inside_an_answer_are_read_and_bounded() {
        assert_eq!(decode("image/png;base64,QUJD", 3).unwrap().as_ref(), b"ABC");
        assert!(matches!(decode("image/png;base64,QUJD", 2), Err(DownloadError::Unusable(_))));
        assert!(matches!(decode("image/png,ABC", 9), Err(DownloadError::Unusable(_))));
        assert!(matches!(decode("image/png;base64,!", 9), Err(DownloadError::Unusable(_))));
    }
}
