//! Uploads and the CDN: `initiate` and PUT, tokens and `files/upload`, both in parts too.
//!
//! Invariant: nothing here but the token's own upload takes an `Authorization` header. A key sent
//! to an upload URL or to a file is a leak, and is answered with 400 so that it is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::emulator::Fal;
use super::gate::{Asked, answer, refuse};
use super::jobs::{StoredFile, Upload};
use super::queue::lifecycle;
use crate::caller::header;
use crate::document::replace;
use crate::seen::{now_ms, timestamp};

/// Largest file, or part of one, in one request.
const BODY_MAX: usize = 128 << 20;
/// How long a CDN token lives.
const TOKEN_MS: i64 = 3_600_000;

/// A file that is to be stored.
#[derive(Debug)]
pub(super) struct NewFile {
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) file_name: String,
    pub(super) lives_s: Option<i64>,
}

/// `POST /storage/…`: begins an upload, or gives a token for the CDN.
pub(super) async fn begin(fal: &Arc<Fal>, asked: Asked) -> Response {
    let lives_s = match lifecycle(&asked.parts.headers, "x-fal-object-lifecycle") {
        Ok(lives_s) => lives_s,
        Err(refusal) => return *refusal,
    };
    let (path, base) = (asked.path.join("/"), asked.base.clone());
    let body = match to_bytes(asked.body, 1 << 20).await {
        Ok(body) => serde_json::from_slice::<Value>(&body).unwrap_or_default(),
        Err(_) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large"),
    };
    match path.as_str() {
        "storage/auth/token" => answer(StatusCode::OK, fal.token(&base)),
        "storage/upload/initiate" | "storage/upload/initiate-multipart" => {
            let in_parts = path.ends_with("multipart");
            let text = |name| body.get(name).and_then(Value::as_str).map(str::to_owned);
            let (Some(content_type), Some(file_name)) = (text("content_type"), text("file_name"))
            else {
                let detail = "content_type and file_name are required";
                return refuse(StatusCode::UNPROCESSABLE_ENTITY, detail);
            };
            let upload = Upload {
                path: fal.new_path(&file_name),
                content_type,
                file_name,
                lives_s,
                parts: in_parts.then(BTreeMap::new),
            };
            let file_url = fal.file_url(&base, &upload.path);
            let upload_url = format!("{base}/uploads/{}", fal.open_upload(upload));
            answer(StatusCode::OK, json!({ "file_url": file_url, "upload_url": upload_url }))
        }
        _ => refuse(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// `PUT /uploads/{secret}`, `PUT /uploads/{secret}/{n}`, `POST /uploads/{secret}/complete`.
pub(super) async fn uploads(fal: &Arc<Fal>, asked: Asked) -> Response {
    if let Some(leak) = leaked_key(&asked) {
        return leak;
    }
    let method = asked.parts.method.clone();
    let path = asked.path.clone();
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    match (method.as_str(), path.as_slice()) {
        ("PUT", ["uploads", secret]) => fal.put_whole(secret, asked).await,
        ("PUT", ["uploads", secret, number]) => fal.put_part(secret, number, asked.body).await,
        ("POST", ["uploads", secret, "complete"]) => fal.complete(secret, asked.body).await,
        _ => refuse(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// `/files/…`: the CDN.
pub(super) async fn files(fal: &Arc<Fal>, asked: Asked) -> Response {
    let method = asked.parts.method.clone();
    let path = asked.path.clone();
    let path: Vec<_> = path.iter().map(String::as_str).skip(1).collect();
    match (method.as_str(), path.as_slice()) {
        ("GET" | "HEAD", path) => match leaked_key(&asked) {
            Some(leak) => leak,
            None => fal.file(&path.join("/")).await,
        },
        ("POST", ["upload"]) => fal.upload(asked).await,
        ("POST", ["upload", "multipart"]) => fal.upload_in_parts(&asked),
        ("PUT", [.., "multipart", secret, number]) => match fal.bearer(&asked) {
            Some(refusal) => refusal,
            None => fal.put_part(secret, number, asked.body).await,
        },
        ("POST", [.., "multipart", secret, "complete"]) => match fal.bearer(&asked) {
            Some(refusal) => refusal,
            None => fal.complete(secret, asked.body).await,
        },
        _ => refuse(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn leaked_key(asked: &Asked) -> Option<Response> {
    asked.parts.headers.contains_key(AUTHORIZATION).then(|| {
        let detail = "Authorization must not be sent here: this URL is public, a key would leak";
        refuse(StatusCode::BAD_REQUEST, detail)
    })
}

/// What may stand in a path: a name from outside loses everything else.
fn plain(file_name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let mut name: String = file_name
        .chars()
        .rev()
        .take(80)
        .map(allowed)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    while name.starts_with('.') {
        name.remove(0);
    }
    if name.is_empty() { "file".to_owned() } else { name }
}

impl Fal {
    /// A path that no file has.
    pub(super) fn new_path(&self, file_name: &str) -> String {
        let id = hex::encode(Uuid::new_v4());
        format!("b/{}/{}_{}", &id[..8], &id[8..28], plain(file_name))
    }

    /// The address of a file, as a caller who came by `base` reaches it.
    pub(super) fn file_url(&self, base: &str, path: &str) -> String {
        let host = base.split("://").nth(1).unwrap_or_default();
        if host.ends_with("fal.run") || host.ends_with("fal.ai") || host.ends_with("fal.media") {
            return format!("https://v3.fal.media/files/{path}");
        }
        format!("{base}/files/{path}")
    }

    /// A file that is there and whose time is not over.
    pub(super) fn live_file(&self, path: &str) -> Option<StoredFile> {
        self.memory
            .read(|memory| memory.files.get(path).cloned())
            .filter(|file| file.expires_ms.is_none_or(|expires| expires > now_ms()))
    }

    /// Stores a file: the bytes first, so that no link leads to nothing.
    pub(super) async fn store(&self, new: NewFile, bytes: Vec<u8>) -> anyhow::Result<()> {
        let size = bytes.len();
        let blob = self.write_blob(bytes).await?;
        let file = StoredFile {
            content_type: new.content_type,
            file_name: new.file_name,
            blob,
            size,
            expires_ms: new.lives_s.map(|seconds| now_ms() + seconds.saturating_mul(1000)),
        };
        self.memory.write(|memory| memory.files.insert(new.path, file));
        Ok(())
    }

    async fn write_blob(&self, bytes: Vec<u8>) -> anyhow::Result<String> {
        let blob = Uuid::new_v4().to_string();
        let path = self.blobs.join(&blob);
        tokio::task::spawn_blocking(move || replace(&path, &bytes)).await??;
        Ok(blob)
    }

    fn token(&self, base: &str) -> Value {
        let token = format!("cdn_{}", hex::encode(Uuid::new_v4()));
        let expires = now_ms() + TOKEN_MS;
        self.memory.write(|memory| memory.tokens.insert(token.clone(), expires));
        let host = base.split("://").nth(1).unwrap_or_default();
        let cdn = if host.ends_with("fal.ai") || host.ends_with("fal.run") {
            "https://v3.fal.media"
        } else {
            base
        };
        // Python reads the time with `datetime.fromisoformat`, which knows no "Z" before 3.11.
        let expires_at = timestamp(expires).replace('Z', "+00:00");
        json!({
            "token": token,
            "token_type": "Bearer",
            "base_url": cdn,
            "expires_at": expires_at,
        })
    }

    /// A refusal, unless the caller has a token for the CDN.
    fn bearer(&self, asked: &Asked) -> Option<Response> {
        let given = header(&asked.parts.headers, AUTHORIZATION.as_str()).unwrap_or_default();
        let known = given.strip_prefix("Bearer ").is_some_and(|token| {
            self.memory.read(|memory| memory.tokens.get(token).is_some_and(|end| *end > now_ms()))
        });
        let detail = "A CDN token is required: ask /storage/auth/token for one";
        (!known).then(|| refuse(StatusCode::UNAUTHORIZED, detail))
    }

    fn open_upload(&self, upload: Upload) -> String {
        let secret = hex::encode(Uuid::new_v4());
        self.memory.write(|memory| memory.uploads.insert(secret.clone(), upload));
        secret
    }

    #[expect(clippy::result_large_err, reason = "a refusal is the answer itself, passed once")]
    fn cdn_upload(&self, asked: &Asked) -> Result<NewFile, Response> {
        if let Some(refusal) = self.bearer(asked) {
            return Err(refusal);
        }
        let headers = &asked.parts.headers;
        let lives_s = lifecycle(headers, "x-fal-object-lifecycle").map_err(|refusal| *refusal)?;
        let text = |name, default: &str| header(headers, name).unwrap_or(default).to_owned();
        let file_name = text("x-fal-file-name", "file");
        Ok(NewFile {
            path: self.new_path(&file_name),
            content_type: text(CONTENT_TYPE.as_str(), "application/octet-stream"),
            file_name,
            lives_s,
        })
    }

    async fn upload(&self, asked: Asked) -> Response {
        let new = match self.cdn_upload(&asked) {
            Ok(new) => new,
            Err(refusal) => return refusal,
        };
        let access_url = self.file_url(&asked.base, &new.path);
        match self.receive(new, asked.body).await {
            Ok(()) => answer(StatusCode::OK, json!({ "access_url": access_url })),
            Err(refusal) => refusal,
        }
    }

    fn upload_in_parts(&self, asked: &Asked) -> Response {
        let new = match self.cdn_upload(asked) {
            Ok(new) => new,
            Err(refusal) => return refusal,
        };
        let access_url = self.file_url(&asked.base, &new.path);
        let id = self.open_upload(Upload {
            path: new.path,
            content_type: new.content_type,
            file_name: new.file_name,
            lives_s: new.lives_s,
            parts: Some(BTreeMap::new()),
        });
        answer(StatusCode::OK, json!({ "access_url": access_url, "uploadId": id }))
    }

    async fn put_whole(&self, secret: &str, asked: Asked) -> Response {
        let upload = self.memory.read(|memory| memory.uploads.get(secret).cloned());
        let Some(upload) = upload.filter(|upload| upload.parts.is_none()) else {
            return refuse(StatusCode::FORBIDDEN, "This upload URL is not valid");
        };
        let sent = header(&asked.parts.headers, CONTENT_TYPE.as_str());
        if sent.is_some_and(|sent| sent != upload.content_type) {
            let detail = "Content-Type is not the one that the upload was begun with";
            return refuse(StatusCode::FORBIDDEN, detail);
        }
        let new = NewFile {
            path: upload.path,
            content_type: upload.content_type,
            file_name: upload.file_name,
            lives_s: upload.lives_s,
        };
        match self.receive(new, asked.body).await {
            Ok(()) => Response::new(Body::empty()),
            Err(refusal) => refusal,
        }
    }

    async fn receive(&self, new: NewFile, body: Body) -> Result<(), Response> {
        let bytes = to_bytes(body, BODY_MAX)
            .await
            .map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "The file is too large"))?;
        self.store(new, bytes.into()).await.map_err(|error| internal(&error))
    }

    /// Both ways of uploading in parts read the answer: one its header, the other its body.
    async fn put_part(&self, secret: &str, number: &str, body: Body) -> Response {
        let Ok(number) = number.parse::<u32>() else {
            return refuse(StatusCode::BAD_REQUEST, "The number of a part is 1 or more");
        };
        let Ok(bytes) = to_bytes(body, BODY_MAX).await else {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "The part is too large");
        };
        let etag = hex::encode(&Sha256::digest(&bytes)[..16]);
        let blob = match self.write_blob(bytes.into()).await {
            Ok(blob) => blob,
            Err(error) => return internal(&error),
        };
        let known = self.memory.write(|memory| {
            let parts = memory.uploads.get_mut(secret).and_then(|upload| upload.parts.as_mut());
            parts.map(|parts| parts.insert(number, blob)).is_some()
        });
        if !known {
            return refuse(StatusCode::NOT_FOUND, "There is no such upload");
        }
        let mut response = answer(StatusCode::OK, json!({ "partNumber": number, "etag": etag }));
        if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
            response.headers_mut().insert(ETAG, value);
        }
        response
    }

    async fn complete(&self, secret: &str, body: Body) -> Response {
        let named = to_bytes(body, 1 << 20).await.ok();
        let named: Value =
            named.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let upload = self.memory.read(|memory| memory.uploads.get(secret).cloned());
        let Some(Upload { path, content_type, file_name, lives_s, parts: Some(parts) }) = upload
        else {
            return refuse(StatusCode::NOT_FOUND, "There is no such upload");
        };
        let listed: Vec<_> = named["parts"]
            .as_array()
            .map(|list| list.iter().filter_map(|part| part["partNumber"].as_u64()).collect())
            .unwrap_or_default();
        if listed != parts.keys().map(|number| u64::from(*number)).collect::<Vec<_>>() {
            let detail = "The list of parts is not what was uploaded";
            return refuse(StatusCode::BAD_REQUEST, detail);
        }
        let stored = async {
            let mut whole = Vec::new();
            for blob in parts.values() {
                let part = tokio::fs::read(self.blobs.join(blob)).await;
                whole.extend(part.context("read a part")?);
            }
            self.store(NewFile { path, content_type, file_name, lives_s }, whole).await
        };
        match stored.await {
            Ok(()) => answer(StatusCode::OK, json!({})),
            Err(error) => internal(&error),
        }
    }

    async fn file(&self, path: &str) -> Response {
        let Some(file) = self.live_file(path) else {
            return refuse(StatusCode::NOT_FOUND, "File not found");
        };
        match tokio::fs::read(self.blobs.join(&file.blob)).await {
            Ok(bytes) => {
                let mut response = Response::new(Body::from(bytes));
                let kind = HeaderValue::from_str(&file.content_type)
                    .unwrap_or(HeaderValue::from_static("application/octet-stream"));
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(error) => internal(&error.into()),
        }
    }
}

fn internal(error: &anyhow::Error) -> Response {
    tracing::error!(error.cause = ?error, "the storage failed");
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
}
