//! Files that went through a chat: bytes in the data folder, what is known of them in the state.

use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::Telegram;
use super::entities::Formatted;
use super::error::Refusal;
use super::params::{Params, Upload};
use super::pictures;
use super::state::{Content, FileKind, State, StoredFile};
use crate::document;

const PHOTO_BYTES_MAX: usize = 10 * 1024 * 1024;
const DOCUMENT_BYTES_MAX: usize = 50 * 1024 * 1024;
const URL_PHOTO_BYTES_MAX: usize = 5 * 1024 * 1024;
const URL_DOCUMENT_BYTES_MAX: usize = 20 * 1024 * 1024;
/// What a bot may download.
pub(super) const DOWNLOAD_BYTES_MAX: u64 = 20 * 1024 * 1024;
const SIDES_SUM_MAX: u32 = 10_000;
const SIDES_RATIO_MAX: u32 = 20;

/// A file as someone sends it.
#[derive(Clone, Debug)]
pub(super) struct NewFile {
    pub(super) bytes: Bytes,
    pub(super) file_name: Option<String>,
    pub(super) mime_type: Option<String>,
    /// What is told instead of the real size.
    pub(super) pretend_size: Option<u64>,
}

/// A medium of a message, before it has a caption.
#[derive(Clone, Debug)]
pub(super) enum Medium {
    Photo(Vec<String>),
    Document(String),
}

impl Medium {
    /// The message's content.
    pub(super) fn with_caption(self, caption: Formatted) -> Content {
        match self {
            Self::Photo(sizes) => Content::Photo { sizes, caption },
            Self::Document(file_id) => Content::Document { file_id, caption },
        }
    }
}

impl Telegram {
    /// Where a stored file's bytes lie.
    pub(super) fn file_on_disk(&self, file: &StoredFile) -> PathBuf {
        self.folder.join("files").join(&file.path)
    }

    /// The medium that a field of a request means: an upload, a `file_id` or a URL.
    pub(super) async fn medium(
        &self,
        params: &Params,
        kind: FileKind,
        field: &str,
        value: Option<&str>,
    ) -> Result<Medium, Refusal> {
        let attached = value.and_then(|value| value.strip_prefix("attach://"));
        if let Some(upload) = params.file(attached.unwrap_or(field)) {
            return self.uploaded(kind, upload).await;
        }
        let Some(value) = value.filter(|_| attached.is_none()) else {
            return Err(Refusal::bad(format_args!("there is no {field} in the request")));
        };
        if value.starts_with("http://") || value.starts_with("https://") {
            return self.fetched(kind, value).await;
        }
        self.state.read(|state| known(state, kind, value))
    }

    async fn uploaded(&self, kind: FileKind, upload: &Upload) -> Result<Medium, Refusal> {
        if upload.bytes.is_empty() {
            return Err(Refusal::bad("file must be non-empty"));
        }
        let file = NewFile {
            bytes: upload.bytes.clone(),
            file_name: Some(upload.file_name.clone()).filter(|name| !name.is_empty()),
            mime_type: upload.mime_type.clone(),
            pretend_size: None,
        };
        match kind {
            FileKind::Photo if file.bytes.len() > PHOTO_BYTES_MAX => {
                Err(Refusal::bad(format_args!(
                    "file of size {} bytes is too big for a photo; the maximum size is \
                 {PHOTO_BYTES_MAX} bytes",
                    file.bytes.len()
                )))
            }
            FileKind::Photo => self.keep_photo(file.bytes).await,
            FileKind::Document if file.bytes.len() > DOCUMENT_BYTES_MAX => {
                Err(Refusal::too_large())
            }
            FileKind::Document => self.keep_document(file),
        }
    }

    async fn fetched(&self, kind: FileKind, url: &str) -> Result<Medium, Refusal> {
        let failed = || Refusal::bad("failed to get HTTP URL content");
        let mut answer = self.http.get(url).send().await.map_err(|_| failed())?;
        if !answer.status().is_success() {
            return Err(failed());
        }
        let limit = match kind {
            FileKind::Photo => URL_PHOTO_BYTES_MAX,
            FileKind::Document => URL_DOCUMENT_BYTES_MAX,
        };
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|_| failed())? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > limit {
                return Err(failed());
            }
        }
        let name = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next());
        match kind {
            FileKind::Photo => self
                .keep_photo(bytes.into())
                .await
                .map_err(|_| Refusal::bad("wrong type of the web page content")),
            FileKind::Document => self.keep_document(NewFile {
                bytes: bytes.into(),
                file_name: name.map(str::to_owned),
                mime_type: None,
                pretend_size: None,
            }),
        }
    }

    /// Makes a photo of a picture and keeps its sizes.
    pub(super) async fn keep_photo(&self, bytes: Bytes) -> Result<Medium, Refusal> {
        let work = tokio::task::spawn_blocking(move || {
            let picture =
                pictures::decode(&bytes).map_err(|_| Refusal::bad("IMAGE_PROCESS_FAILED"))?;
            let (width, height) = (picture.width(), picture.height());
            let (short, long) = (width.min(height).max(1), width.max(height));
            if width + height > SIDES_SUM_MAX || long > SIDES_RATIO_MAX * short {
                return Err(Refusal::bad("PHOTO_INVALID_DIMENSIONS"));
            }
            pictures::sizes(&picture).map_err(|_| Refusal::bad("IMAGE_PROCESS_FAILED"))
        });
        let sizes = work.await.map_err(|_| Refusal::bad("IMAGE_PROCESS_FAILED"))??;
        let ids: Vec<String> = sizes.iter().map(|_| file_id("AgACAgIAAxkDAAI")).collect();
        for (id, size) in ids.iter().zip(sizes) {
            let file = StoredFile {
                kind: FileKind::Photo,
                unique_id: unique_id("AQAD", &size.jpeg),
                path: format!("photos/file_{}.jpg", self.next_file()),
                size: size.jpeg.len() as u64,
                mime_type: "image/jpeg".to_owned(),
                file_name: None,
                width: size.width,
                height: size.height,
                sizes: ids.clone(),
            };
            self.keep(id, file, &size.jpeg)?;
        }
        Ok(Medium::Photo(ids))
    }

    /// Keeps a file as it is.
    pub(super) fn keep_document(&self, new: NewFile) -> Result<Medium, Refusal> {
        let file_name = new.file_name.as_deref().map(safe_name);
        let extension = file_name
            .as_deref()
            .and_then(|name| name.rsplit_once('.'))
            .map(|(_, extension)| extension)
            .filter(|e| e.len() <= 8 && e.chars().all(|c| c.is_ascii_alphanumeric()));
        let number = self.next_file();
        let file = StoredFile {
            kind: FileKind::Document,
            unique_id: unique_id("AgAD", &new.bytes),
            path: extension.map_or_else(
                || format!("documents/file_{number}"),
                |extension| format!("documents/file_{number}.{extension}"),
            ),
            size: new.pretend_size.unwrap_or(new.bytes.len() as u64),
            mime_type: new
                .mime_type
                .filter(|mime| mime != "application/octet-stream")
                .unwrap_or_else(|| mime_type(extension.unwrap_or_default()).to_owned()),
            file_name,
            width: 0,
            height: 0,
            sizes: Vec::new(),
        };
        let id = file_id("BQACAgIAAxkDAAI");
        self.keep(&id, file, &new.bytes)?;
        Ok(Medium::Document(id))
    }

    fn next_file(&self) -> u64 {
        self.state.write(|state| {
            state.last_file += 1;
            state.last_file
        })
    }

    fn keep(&self, id: &str, file: StoredFile, bytes: &[u8]) -> Result<(), Refusal> {
        document::replace(&self.file_on_disk(&file), bytes).map_err(|error| {
            tracing::error!(error.cause = ?error, "a file could not be kept");
            Refusal::bad("file is temporarily unavailable")
        })?;
        self.state.write(|state| state.files.insert(id.to_owned(), file));
        Ok(())
    }

    /// A stored file and its bytes.
    pub(super) async fn open_file(&self, file: &StoredFile) -> anyhow::Result<Vec<u8>> {
        let path = self.file_on_disk(file);
        tokio::fs::read(&path).await.with_context(|| path.display().to_string())
    }
}

/// A file that is sent again by its id.
fn known(state: &State, kind: FileKind, file_id: &str) -> Result<Medium, Refusal> {
    let file = state
        .files
        .get(file_id)
        .ok_or_else(|| Refusal::bad("wrong file identifier/HTTP URL specified"))?;
    match (kind, file.kind) {
        (FileKind::Photo, FileKind::Photo) => Ok(Medium::Photo(file.sizes.clone())),
        (FileKind::Document, FileKind::Document) => Ok(Medium::Document(file_id.to_owned())),
        (FileKind::Photo, FileKind::Document) => {
            Err(Refusal::bad("can't use file of type Document as Photo"))
        }
        (FileKind::Document, FileKind::Photo) => {
            Err(Refusal::bad("can't use file of type Photo as Document"))
        }
    }
}

fn file_id(prefix: &str) -> String {
    let random = [*uuid::Uuid::new_v4().as_bytes(), *uuid::Uuid::new_v4().as_bytes()].concat();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random))
}

/// The same for the same content.
fn unique_id(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..9]))
}

fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn mime_type(extension: &str) -> &'static str {
    match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}
